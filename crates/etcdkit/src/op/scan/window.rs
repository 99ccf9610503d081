//! Guessing where in the order of keys so many pairs will have gone by.

use bytes::Bytes;

/// How many bytes of a key are calculated with.
const DIGITS: usize = size_of::<u128>();
/// Bytes in front of the first one in which keys differ that a guess may carry into.
const CARRY: usize = 4;
/// How much a guess may differ from the stretch it is made from.
const MOST: f64 = 16.0;

/// A key above `to` such that about `wanted` keys lie between, if they lie as densely as the `pairs`
/// keys between `from` and `to`. `None` if there is no telling.
///
/// Keys are taken as numbers in base 256; no guess is relied on, so it only has to be good for the
/// usual keys: counters, names, hashes.
pub(super) fn guess(from: &[u8], to: &[u8], pairs: u64, wanted: u64) -> Option<Bytes> {
    let common = from.iter().zip(to).take_while(|(a, b)| a == b).count();
    let base = common.saturating_sub(CARRY);
    let at = digits(to, base);
    let width = at.checked_sub(digits(from, base))?;
    if width == 0 {
        return None;
    }
    let factor = (wanted as f64 / pairs as f64).clamp(1.0 / MOST, MOST);
    let step = (width as f64 * factor).max(1.0) as u128;
    let guess = at.checked_add(step)?.to_be_bytes();
    let length = guess.iter().rposition(|byte| *byte != 0)? + 1;
    Some([to.get(..base)?, guess.get(..length)?].concat().into())
}

/// The number that a key is from its byte `base` on.
fn digits(key: &[u8], base: usize) -> u128 {
    let mut digits = [0; DIGITS];
    for (digit, byte) in digits.iter_mut().zip(key.iter().skip(base)) {
        *digit = *byte;
    }
    u128::from_be_bytes(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_carry_on_at_the_density_seen() {
        assert_eq!(guess(b"a", b"c", 10, 10).unwrap(), "e");
        assert_eq!(guess(b"key-a", b"key-b", 100, 300).unwrap(), "key-e");
        assert_eq!(guess(b"key-a", b"key-c", 300, 150).unwrap(), "key-d");
        // Nothing was there, so go far.
        assert_eq!(guess(b"key-a", b"key-b", 0, 10).unwrap(), "key-r");
        // Into the byte before the last.
        assert_eq!(&guess(b"k1\x00", b"k1\xf0", 1, 1).unwrap()[..], b"k2\xe0");
    }

    #[test]
    fn there_is_no_telling_behind_the_last_key_or_from_equal_ones() {
        assert_eq!(guess(b"\x00", b"\xff", 1, 16), None);
        let (a, b) = (["x".repeat(20), "a".into()], ["x".repeat(20), "b".into()]);
        assert!(guess(a.concat().as_bytes(), b.concat().as_bytes(), 1, 1).is_some());
        assert_eq!(guess(b"same", b"same", 1, 1), None);
        assert_eq!(guess(b"b", b"a", 1, 1), None);
    }

    #[test]
    fn guesses_are_above() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..100_000 {
            let mut key = || -> Vec<u8> {
                let alphabet = [0, 1, b'a', 0xfe, 0xff];
                let length = rng.usize(1..24);
                (0..length).map(|_| alphabet[rng.usize(..5)]).collect()
            };
            let (a, b) = (key(), key());
            let (from, to) = if a < b { (a, b) } else { (b, a) };
            if let Some(guess) = guess(&from, &to, rng.u64(..1000), rng.u64(..1000)) {
                assert!(guess[..] > to[..], "{from:?} {to:?} {guess:?}");
            }
        }
    }
}
