//! `txn`.

use std::io::{self, BufRead, Write};

use etcdkit::{Compare, LeaseId, Op};

use super::{del, get::Lookup, printer, put};
use crate::{
    args::{GlobalArgs, TxnArgs},
    connect::Session,
    error::{Failure, Result},
    print::{Kind, Reply},
    txn_script::{Comparison, Operand, Operator, Request, read_comparisons, read_requests},
};

pub(crate) async fn run(global: &GlobalArgs, args: &TxnArgs) -> Result {
    if !args.args.is_empty() {
        return Err(Failure::bad_args("txn command does not accept argument")
            .hint("it reads standard input"));
    }
    let printer = printer(global)?;
    printer.check(Kind::Message)?;
    let script = Script::read(&mut io::stdin().lock(), args.interactive)?;
    let session = Session::open(global).await?;
    let txn = session.client.txn();
    let txn = txn
        .when(script.compares)
        .then(script.then)
        .or_else(script.or_else);
    let reply = txn.await?;
    printer.print(Reply::Txn(&reply))?;
    session.close().await;
    Ok(())
}

struct Script {
    compares: Vec<Compare>,
    then: Vec<Op>,
    or_else: Vec<Op>,
}

impl Script {
    fn read(input: &mut dyn BufRead, interactive: bool) -> Result<Self> {
        let prompt = |section: &str| {
            if interactive {
                let mut out = io::stdout();
                writeln!(out, "{section}:")?;
                out.flush()?;
            }
            Ok::<_, Failure>(())
        };
        prompt("compares")?;
        let compares = read_comparisons(input)?.into_iter().map(compare).collect();
        prompt("success requests (get, put, del)")?;
        let then = ops(&read_requests(input, "success requests")?)?;
        prompt("failure requests (get, put, del)")?;
        let or_else = ops(&read_requests(input, "failure requests")?)?;
        Ok(Self {
            compares,
            then,
            or_else,
        })
    }
}

fn ops(requests: &[Request]) -> Result<Vec<Op>> {
    let op = |request: &Request| match request {
        Request::Get(args) => Ok(Lookup::read(args)?.into_op()),
        Request::Put(args) => put::op(args),
        Request::Del(args) => del::op(args),
    };
    requests.iter().map(op).collect()
}

fn compare(comparison: Comparison) -> Compare {
    let Comparison {
        key,
        operand,
        operator,
    } = comparison;
    macro_rules! with {
        ($comparing:expr, $operand:expr) => {
            match operator {
                Operator::Equal => $comparing.eq($operand),
                Operator::NotEqual => $comparing.ne($operand),
                Operator::Greater => $comparing.gt($operand),
                Operator::Less => $comparing.lt($operand),
            }
        };
    }
    match operand {
        Operand::Version(version) => with!(Compare::version(key), version),
        Operand::CreateRevision(revision) => with!(Compare::create_revision(key), revision),
        Operand::ModRevision(revision) => with!(Compare::mod_revision(key), revision),
        Operand::Value(value) => with!(Compare::value(key), value),
        Operand::Lease(lease) => with!(Compare::lease(key), LeaseId(lease)),
    }
}
