//! Finding and exchanging bytes in a block of compressed headers (RFC 7541).

const PADDED: u8 = 0x08;
const PRIORITY: u8 = 0x20;

/// `:authority` in the static table.
const AUTHORITY: usize = 1;

/// Codes of five to eight bits are told apart by their value: each length has those below its
/// bound that no shorter code begins. Longer ones belong to characters that no URL has.
const CODE_BOUNDS: [(usize, u16); 4] = [
    (5, 0b0_1010),
    (6, 0b10_1110),
    (7, 0b111_1100),
    (8, 0b1111_1110),
];

/// The Huffman codes of `/` and `:`, and of the letters that take their place: `.` and `B`, which
/// have codes of the same length.
const SLASH: (usize, u16) = (6, 0b01_1000);
const DOT: u16 = 0b01_0111;
const COLON: (usize, u16) = (7, 0b101_1100);
const LETTER_B: u16 = 0b101_1101;

/// Makes the authority of a HEADERS frame valid if it has a slash; returns whether it did.
pub(super) fn repair_authority(payload: &mut [u8], flags: u8) -> bool {
    let padding = if flags & PADDED != 0 { 1 } else { 0 };
    let priority = if flags & PRIORITY != 0 { 5 } else { 0 };
    payload
        .get_mut(padding + priority..)
        .and_then(authority)
        .is_some_and(|value| match value {
            Text::Plain(text) => repair_plain(text),
            Text::Coded(text) => repair_coded(text),
        })
}

enum Text<'a> {
    Plain(&'a mut [u8]),
    Coded(&'a mut [u8]),
}

/// The value of the first `:authority` that is spelled out.
fn authority(mut block: &mut [u8]) -> Option<Text<'_>> {
    loop {
        let (prefix, spelled_out) = match block.first()? {
            0x80.. => (7, false),
            0x40.. => (6, true),
            0x20.. => (5, false),
            _ => (4, true),
        };
        let name = take_integer(&mut block, prefix)?;
        if spelled_out {
            if name == 0 {
                take_text(&mut block)?;
            }
            let value = take_text(&mut block)?;
            if name == AUTHORITY {
                return Some(value);
            }
        }
    }
}

fn take_text<'a>(block: &mut &'a mut [u8]) -> Option<Text<'a>> {
    let coded = block.first()? & 0x80 != 0;
    let length = take_integer(block, 7)?;
    let (text, rest) = std::mem::take(block).split_at_mut_checked(length)?;
    *block = rest;
    Some(if coded {
        Text::Coded(text)
    } else {
        Text::Plain(text)
    })
}

/// An integer that begins in the lower `prefix` bits of the first byte.
fn take_integer(block: &mut &mut [u8], prefix: u32) -> Option<usize> {
    let most = (1 << prefix) - 1;
    let mut value = take_byte(block)? & most;
    if value < most {
        return Some(value);
    }
    for shift in [0, 7, 14] {
        let byte = take_byte(block)?;
        value += (byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn take_byte(block: &mut &mut [u8]) -> Option<usize> {
    let (first, rest) = std::mem::take(block).split_first_mut()?;
    *block = rest;
    Some(usize::from(*first))
}

fn repair_plain(text: &mut [u8]) -> bool {
    if !text.contains(&b'/') {
        return false;
    }
    for byte in text {
        match byte {
            b'/' => *byte = b'.',
            b':' => *byte = b'B',
            _ => {}
        }
    }
    true
}

fn repair_coded(text: &mut [u8]) -> bool {
    let codes: Vec<(usize, (usize, u16))> = codes(text).collect();
    if !codes.iter().any(|(_, code)| *code == SLASH) {
        return false;
    }
    for (at, code) in codes {
        match code {
            SLASH => write_bits(text, at, SLASH.0, DOT),
            COLON => write_bits(text, at, COLON.0, LETTER_B),
            _ => {}
        }
    }
    true
}

/// The codes of a text with the bit each begins at, up to the padding or an unusual character.
fn codes(text: &[u8]) -> impl Iterator<Item = (usize, (usize, u16))> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let code = CODE_BOUNDS.into_iter().find_map(|(length, bound)| {
            read_bits(text, at, length)
                .filter(|code| *code < bound)
                .map(|code| (length, code))
        })?;
        let begin = at;
        at += code.0;
        Some((begin, code))
    })
}

fn read_bits(text: &[u8], at: usize, length: usize) -> Option<u16> {
    (at..at + length).try_fold(0, |bits, at| {
        let byte = text.get(at / 8)?;
        Some(bits << 1 | u16::from(byte >> (7 - at % 8) & 1))
    })
}

fn write_bits(text: &mut [u8], at: usize, length: usize, bits: u16) {
    for n in 0..length {
        let (at, bit) = (at + n, bits >> (length - 1 - n) & 1);
        if let Some(byte) = text.get_mut(at / 8) {
            let mask = 0x80 >> (at % 8);
            *byte = if bit == 1 {
                *byte | mask
            } else {
                *byte & !mask
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7541's Huffman codes of the characters used here.
    fn coded(text: &str) -> Vec<u8> {
        let bits: String = text
            .chars()
            .map(|c| match c {
                '0' => "00000",
                '1' => "00001",
                '2' => "00010",
                't' => "01001",
                '.' => "010111",
                '/' => "011000",
                '3' => "011001",
                '7' => "011101",
                '9' => "011111",
                'h' => "100111",
                'p' => "101011",
                ':' => "1011100",
                'B' => "1011101",
                '_' => "100010",
                other => panic!("no code for {other:?}"),
            })
            .collect();
        let padded = bits.len().div_ceil(8) * 8;
        let bits = format!("{bits:1<padded$}");
        (0..padded)
            .step_by(8)
            .map(|at| u8::from_str_radix(&bits[at..at + 8], 2).unwrap())
            .collect()
    }

    fn block(value: &[u8], huffman: bool) -> Vec<u8> {
        // :method POST and :scheme http from the table, :path spelled out, then :authority.
        let mut block = vec![0x83, 0x86, 0x44, 2, b'/', b':', 0x41];
        block.push(value.len() as u8 | if huffman { 0x80 } else { 0 });
        block.extend(value);
        // A header of a name not in the table.
        block.extend([0x40, 1, b'x', 2, b'/', b':']);
        block
    }

    #[test]
    fn a_url_and_a_path_become_valid_without_a_change_of_length() {
        for (sent, valid) in [
            ("http://127.0.0.1:2379", "httpB..127.0.0.1B2379"),
            ("/t/h:1", ".t.hB1"),
            ("127.0.0.1:2379", "127.0.0.1:2379"),
            ("", ""),
        ] {
            assert!(valid.is_empty() || valid.parse::<http::uri::Authority>().is_ok());
            for (huffman, encode) in [
                (
                    false,
                    (|s: &str| s.as_bytes().to_vec()) as fn(&str) -> Vec<u8>,
                ),
                (true, coded),
            ] {
                let mut wire = block(&encode(sent), huffman);
                assert_eq!(repair_authority(&mut wire, 0), sent != valid);
                assert_eq!(wire, block(&encode(valid), huffman), "{sent}");
            }
        }
    }

    #[test]
    fn padding_and_priority_come_before_the_block() {
        let value = coded("http://127.0.0.1:2379");
        let mut payload = [&[0; 6][..], &block(&value, true)].concat();
        assert!(repair_authority(&mut payload, PADDED | PRIORITY));
    }

    #[test]
    fn damaged_blocks_are_left_to_the_library() {
        let whole = block(&coded("http://127.0.0.1:2379"), true);
        for end in 0..whole.len() {
            let mut cut = whole[..end].to_vec();
            repair_authority(&mut cut, 0);
        }
        for byte in 0..=255 {
            let mut endless = vec![byte; 40];
            repair_authority(&mut endless, PADDED);
        }
    }
}
