use super::*;
use crate::error::Exit;

fn comparison(line: &str) -> Comparison {
    Comparison::parse(line.as_bytes()).unwrap()
}

fn refused(line: &str) -> String {
    let failure = Comparison::parse(line.as_bytes()).unwrap_err();
    assert_eq!(failure.exit(), Exit::InvalidInput, "{line}");
    failure.to_string()
}

/// The words of a request, by way of the arguments it ends up with.
fn put_words(line: &str) -> Vec<Vec<u8>> {
    match Request::parse(line.as_bytes()).unwrap() {
        Request::Put(put) => put
            .args
            .iter()
            .map(|arg| arg.as_encoded_bytes().to_vec())
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn comparisons_have_five_targets_and_four_operators() {
    let compare = |operand, operator| Comparison {
        key: b"k".to_vec(),
        operand,
        operator,
    };
    for (line, expected) in [
        (
            r#"mod("k") > "0""#,
            compare(Operand::ModRevision(0), Operator::Greater),
        ),
        (
            r#"m("k") = "-7""#,
            compare(Operand::ModRevision(-7), Operator::Equal),
        ),
        (
            r#"c("k") < "5""#,
            compare(Operand::CreateRevision(5), Operator::Less),
        ),
        (
            r#"create("k") != "5""#,
            compare(Operand::CreateRevision(5), Operator::NotEqual),
        ),
        (
            r#"ver("k") = "1""#,
            compare(Operand::Version(1), Operator::Equal),
        ),
        (
            r#"version("k") = "1""#,
            compare(Operand::Version(1), Operator::Equal),
        ),
        (
            r#"lease("k") = "7f""#,
            compare(Operand::Lease(0x7f), Operator::Equal),
        ),
        (
            r#"val("k") = "a\x00""#,
            compare(Operand::Value(b"a\0".to_vec()), Operator::Equal),
        ),
        (
            r#"value( "k")   =   `raw`  "#,
            compare(Operand::Value(b"raw".to_vec()), Operator::Equal),
        ),
    ] {
        assert_eq!(comparison(line), expected, "{line}");
    }
}

#[test]
fn malformed_comparisons_say_why() {
    for line in [
        "",
        "mod",
        "mod(",
        "mod(k) > \"0\"",
        r#"mod("k")> "0""#,
        r#"mod("k") >"0""#,
        r#"mod("k") >= "0""#,
        r#"mod("k") > 0"#,
        r#"mod("k") > "x""#,
        r#"mod("k") >"#,
        r#"mod("k") > "9223372036854775808""#,
        r#"foo("k") = "1""#,
        r#"mod ("k") = "1""#,
        r#"lease("k") = "zz""#,
        r#"val("k) = "1""#,
        "mod(\"k\") > \"\u{e9}\"",
    ] {
        refused(line);
    }
    // etcdctl would run the transaction with the first half only.
    assert!(refused(r#"mod("a") = "1" && mod("b") = "2""#).contains("nothing after it"));
}

#[test]
fn requests_take_the_flags_of_their_commands() {
    let Request::Get(get) = Request::parse(b"get k --prefix --limit=3 --order DESCEND").unwrap()
    else {
        panic!()
    };
    assert!(get.prefix && get.limit == 3 && get.order == "DESCEND");
    let Request::Del(del) = Request::parse(b"d k --prev-kv").unwrap() else {
        panic!()
    };
    assert!(del.prev_kv);
    let Request::Put(put) = Request::parse(b"p k v --lease 7 --prev-kv=false").unwrap() else {
        panic!()
    };
    assert!(put.lease == "7" && !put.prev_kv);
}

#[test]
fn words_are_plain_or_quoted() {
    for (line, words) in [
        (r#"put k v"#, ["k", "v"]),
        (r#"put "k q" 'v  \n'"#, ["k q", "v  \\n"]),
        (r#"put k "a\tb\"c""#, ["k", "a\tb\"c"]),
        (r#"put k a"b"c"#, ["k", "a\"b\"c"]),
        (r#"put k it's"#, ["k", "it's"]),
        (r#"put "k""v""#, ["k", "v"]),
        (r#"put k """#, ["k", ""]),
        (r#"put -- -k -v"#, ["-k", "-v"]),
    ] {
        assert_eq!(
            put_words(line),
            words.map(|word| word.as_bytes().to_vec()),
            "{line}"
        );
    }
}

#[test]
fn malformed_requests_say_why() {
    for line in [
        "put",
        "foo k",
        "put k v --bogus",
        "get k --limit x",
        "put k \"v",
        "put k 'v",
        r#"put k "\q""#,
        "get --help",
        "get k -h",
        "help put",
        "put k v -w json",
        "txn x",
        "--help x",
    ] {
        let failure = Request::parse(line.as_bytes()).unwrap_err();
        assert_eq!(failure.exit(), Exit::InvalidInput, "{line}");
    }
}

#[test]
fn sections_end_with_an_empty_line() {
    let mut input = &b"mod(\"a\") > \"0\"\n  ver(\"b\") = \"1\"\t\r\n \nget x\n\n\n"[..];
    assert_eq!(read_comparisons(&mut input).unwrap().len(), 2);
    assert_eq!(
        read_requests(&mut input, "success requests").unwrap().len(),
        1
    );
    assert_eq!(
        read_requests(&mut input, "failure requests").unwrap().len(),
        0
    );
}

#[test]
fn input_that_ends_early_is_refused() {
    for text in ["", "get k", "get k\n"] {
        let failure = read_requests(&mut text.as_bytes(), "success requests").unwrap_err();
        assert_eq!(failure.exit(), Exit::InvalidInput);
        assert!(
            failure.to_string().contains("success requests"),
            "{failure}"
        );
    }
}

/// Lines made of the language's own pieces, which reach deeper than random bytes.
#[test]
fn no_input_panics() {
    const PIECES: [&str; 22] = [
        "mod", "(", ")", "\"", "'", "`", "\\", "x", "0", " ", "\n", ">", "put", "get", "--", "-",
        "=", "\u{e9}", "\0", "\\u", "lease", "\\x",
    ];
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..20_000 {
        let text: String = (0..random.usize(..12))
            .filter_map(|_| random.choice(PIECES))
            .collect();
        let mut bytes = text.into_bytes();
        if random.bool() {
            bytes.push(random.u8(..));
        }
        let _ = Comparison::parse(&bytes);
        let _ = Request::parse(&bytes);
        let _ = read_comparisons(&mut &bytes[..]);
    }
}
