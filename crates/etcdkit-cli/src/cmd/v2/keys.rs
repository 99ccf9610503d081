//! The commands that read and write keys and directories.

use std::io::{self, Write};

use etcdkit::v2::{Client, Response};

use super::{
    connect::Session,
    failure::{Code, of_keys, plain},
    input::{self, Expected},
    print::{self, Shown, print},
};
use crate::{
    args::v2::{
        CadArgs, CasArgs, DirectoryArgs, Format, GetArgs, GlobalArgs, InOrderArgs, Key, LsArgs,
        MkArgs, RmArgs, SetArgs, UpdateArgs,
    },
    error::Result,
};

pub(super) async fn get(global: &GlobalArgs, args: &GetArgs) -> Result {
    let format = global.format()?;
    let key = input::key(&args.key)?;
    let session = Session::open(global).await?;
    let mut get = session.client.get(key);
    if args.sort {
        get = get.sorted();
    }
    if args.quorum {
        get = get.quorum();
    }
    let found = get.required().await.map_err(of_keys)?;
    session.close().await;
    let shown = Shown::response(&found)?;
    if shown.node.is_dir {
        let text = format!("{}: is a directory", print::key(shown.node));
        return Err(plain(Code::BadArgs, text).hint("`ls` lists what is in it"));
    }
    print(format, shown)
}

pub(super) async fn ls(global: &GlobalArgs, args: &LsArgs) -> Result {
    let format = global.format()?;
    let key = match &args.key.key {
        None => "/",
        Some(_) => input::key(&args.key)?,
    };
    let session = Session::open(global).await?;
    let mut get = session.client.get(key);
    if args.sort {
        get = get.sorted();
    }
    if args.recursive {
        get = get.recursive();
    }
    if args.quorum {
        get = get.quorum();
    }
    let found = get.required().await.map_err(of_keys)?;
    session.close().await;
    let shown = Shown::response(&found)?;
    if format != Format::Simple {
        return print(format, shown);
    }
    let mut out = io::stdout().lock();
    if !shown.node.is_dir {
        writeln!(out, "{}", shown.node.key)?;
    }
    // Itself comes first.
    for node in shown.node.walk().skip(1) {
        let slash = if node.is_dir && args.slash { "/" } else { "" };
        writeln!(out, "{}{slash}", node.key)?;
    }
    Ok(out.flush()?)
}

pub(super) async fn set(global: &GlobalArgs, args: &SetArgs) -> Result {
    let format = global.format()?;
    let (key, value) = input::key_and_value(&args.words)?;
    let ttl = input::ttl(args.ttl)?;
    let expected = Expected::new(&args.swap_with_value, args.swap_with_index)?;
    let session = Session::open(global).await?;
    let response = match expected {
        Some(expected) => swap(&session.client, key, value, ttl, &expected).await?,
        None => {
            let mut set = session.client.set(key, value);
            if let Some(ttl) = ttl {
                set = set.ttl(ttl);
            }
            set.await.map_err(of_keys)?
        }
    };
    session.close().await;
    print(format, Shown::response(&response)?)
}

pub(super) async fn cas(global: &GlobalArgs, args: &CasArgs) -> Result {
    let format = global.format()?;
    let (key, value) = input::key_and_value(&args.words)?;
    let ttl = input::ttl(args.ttl)?;
    let expected = Expected::required(&args.condition)?;
    let session = Session::open(global).await?;
    let response = swap(&session.client, key, value, ttl, &expected).await?;
    session.close().await;
    print(format, Shown::response(&response)?)
}

async fn swap(
    client: &Client,
    key: &str,
    value: String,
    ttl: Option<i64>,
    expected: &Expected<'_>,
) -> Result<Response> {
    let mut swap = client.compare_and_swap(key, value);
    if let Some(value) = expected.value {
        swap = swap.prev_value(value);
    }
    if let Some(index) = expected.index {
        swap = swap.prev_index(index);
    }
    if let Some(ttl) = ttl {
        swap = swap.ttl(ttl);
    }
    swap.await.map_err(of_keys)
}

pub(super) async fn mk(global: &GlobalArgs, args: &MkArgs) -> Result {
    let format = global.format()?;
    let (key, value) = input::key_and_value(&args.words)?;
    let ttl = input::ttl(args.ttl)?;
    let session = Session::open(global).await?;
    let mut write = match args.in_order {
        true => session.client.create_in_order(key, value),
        false => session.client.create(key, value),
    };
    if let Some(ttl) = ttl {
        write = write.ttl(ttl);
    }
    let response = write.await.map_err(of_keys)?;
    session.close().await;
    print(format, Shown::response(&response)?)
}

/// As `mk --in-order`, but prints the key, which nobody knows before.
pub(super) async fn in_order(global: &GlobalArgs, args: &InOrderArgs) -> Result {
    let format = global.format()?;
    let (directory, value) = match args.dir {
        true => (input::only_key(&args.words)?, None),
        false => {
            let (key, value) = input::key_and_value(&args.words)?;
            (key, Some(value))
        }
    };
    let ttl = input::ttl(args.ttl)?;
    let session = Session::open(global).await?;
    let client = &session.client;
    let mut write = match value {
        Some(value) => client.create_in_order(directory, value),
        None => client.create_dir_in_order(directory),
    };
    if let Some(ttl) = ttl {
        write = write.ttl(ttl);
    }
    let response = write.await.map_err(of_keys)?;
    session.close().await;
    let shown = Shown::response(&response)?;
    match format {
        Format::Simple => Ok(writeln!(io::stdout(), "{}", shown.node.key)?),
        _ => print(format, shown),
    }
}

pub(super) async fn update(global: &GlobalArgs, args: &UpdateArgs) -> Result {
    let format = global.format()?;
    let (key, value) = input::key_and_value(&args.words)?;
    let ttl = input::ttl(args.ttl)?;
    let session = Session::open(global).await?;
    let mut update = session.client.update(key, value);
    if let Some(ttl) = ttl {
        update = update.ttl(ttl);
    }
    let response = update.await.map_err(of_keys)?;
    session.close().await;
    print(format, Shown::response(&response)?)
}

/// What to do with a directory.
#[derive(Clone, Copy, Debug)]
pub(super) enum Make {
    New,
    Any,
    Existing,
}

pub(super) async fn directory(global: &GlobalArgs, args: &DirectoryArgs, make: Make) -> Result {
    let format = global.format()?;
    let key = input::key(&args.key)?;
    let ttl = input::ttl(args.ttl)?;
    let session = Session::open(global).await?;
    let client = &session.client;
    let mut write = match make {
        Make::New => client.create_dir(key),
        Make::Any => client.set_dir(key),
        Make::Existing => client.update_dir(key),
    };
    if let Some(ttl) = ttl {
        write = write.ttl(ttl);
    }
    let response = write.await.map_err(of_keys)?;
    session.close().await;
    // Directories have no value to print.
    match format {
        Format::Simple => Ok(()),
        _ => print(format, Shown::response(&response)?),
    }
}

pub(super) async fn rm(global: &GlobalArgs, args: &RmArgs) -> Result {
    let format = global.format()?;
    let key = input::key(&args.key)?;
    let condition = &args.condition;
    let expected = Expected::new(&condition.with_value, condition.with_index)?;
    let session = Session::open(global).await?;
    let client = &session.client;
    let response = match expected {
        Some(expected) => remove_if(client, key, &expected).await?,
        None if args.recursive => client.delete_dir(key).recursive().await.map_err(of_keys)?,
        None if args.dir => client.delete_dir(key).await.map_err(of_keys)?,
        None => client.delete(key).await.map_err(of_keys)?,
    };
    session.close().await;
    removed(format, &response)
}

pub(super) async fn rmdir(global: &GlobalArgs, args: &Key) -> Result {
    let format = global.format()?;
    let key = input::key(args)?;
    let session = Session::open(global).await?;
    let response = session.client.delete_dir(key).await.map_err(of_keys)?;
    session.close().await;
    removed(format, &response)
}

pub(super) async fn cad(global: &GlobalArgs, args: &CadArgs) -> Result {
    let format = global.format()?;
    let key = input::key(&args.key)?;
    let expected = Expected::required(&args.condition)?;
    let session = Session::open(global).await?;
    let response = remove_if(&session.client, key, &expected).await?;
    session.close().await;
    removed(format, &response)
}

async fn remove_if(client: &Client, key: &str, expected: &Expected<'_>) -> Result<Response> {
    let mut delete = client.compare_and_delete(key);
    if let Some(value) = expected.value {
        delete = delete.prev_value(value);
    }
    if let Some(index) = expected.index {
        delete = delete.prev_index(index);
    }
    delete.await.map_err(of_keys)
}

fn removed(format: Format, response: &Response) -> Result {
    let shown = Shown::response(response)?;
    match format {
        Format::Simple if shown.node.is_dir => Ok(()),
        _ => print(format, shown),
    }
}
