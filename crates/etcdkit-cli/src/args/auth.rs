//! auth, user, role.

use std::ffi::OsString;

use clap::{ArgAction, Args, Subcommand};

use super::Words;
use crate::golang::parse_bool;

#[derive(Args, Clone, Debug)]
pub(crate) struct AuthArgs {
    #[command(subcommand)]
    pub(crate) command: Option<AuthCommand>,
}

#[derive(Clone, Debug, Subcommand)]
#[command(infer_subcommands = true)]
pub(crate) enum AuthCommand {
    /// Enables authentication; there must be a user root
    Enable(Words),
    /// Disables authentication
    Disable(Words),
    /// Tells whether authentication is enabled
    Status(Words),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct UserArgs {
    #[command(subcommand)]
    pub(crate) command: Option<UserCommand>,
}

#[derive(Clone, Debug, Subcommand)]
#[command(infer_subcommands = true)]
pub(crate) enum UserCommand {
    /// Adds a user
    Add(UserAddArgs),
    /// Deletes a user
    #[command(override_usage = "etcdkit user delete [OPTIONS] <USER>")]
    Delete(Words),
    /// Tells the roles of a user
    Get(UserGetArgs),
    /// Lists all users
    List(Words),
    /// Changes the password of a user
    Passwd(PasswdArgs),
    /// Grants a role to a user
    #[command(override_usage = "etcdkit user grant-role [OPTIONS] <USER> <ROLE>")]
    GrantRole(Words),
    /// Revokes a role from a user
    #[command(override_usage = "etcdkit user revoke-role [OPTIONS] <USER> <ROLE>")]
    RevokeRole(Words),
}

#[derive(Args, Clone, Debug)]
#[command(override_usage = "etcdkit user add [OPTIONS] <USER[:PASSWORD]>")]
pub(crate) struct UserAddArgs {
    #[command(flatten)]
    pub(crate) words: Words,

    #[command(flatten)]
    pub(crate) ask: AskArgs,

    /// The password; other users of this machine may see it while the command runs
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "PASSWORD"
    )]
    pub(crate) new_user_password: String,

    /// Create a user who can log in only by the common name of a client certificate
    #[arg(long)]
    pub(crate) no_password: bool,
}

#[derive(Args, Clone, Debug)]
#[command(override_usage = "etcdkit user get [OPTIONS] <USER>")]
pub(crate) struct UserGetArgs {
    #[command(flatten)]
    pub(crate) words: Words,

    /// Tell the permissions of the user's roles, too
    #[arg(long)]
    pub(crate) detail: bool,
}

#[derive(Args, Clone, Debug)]
#[command(override_usage = "etcdkit user passwd [OPTIONS] <USER>")]
pub(crate) struct PasswdArgs {
    #[command(flatten)]
    pub(crate) words: Words,

    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

/// How a new password is learnt.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct AskArgs {
    /// Ask for the password on the terminal; with =false it is the first word on standard input
    #[arg(
        long,
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value = "true",
        default_missing_value = "true",
        value_parser = parse_bool,
        value_name = "BOOL"
    )]
    pub(crate) interactive: bool,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct RoleArgs {
    #[command(subcommand)]
    pub(crate) command: Option<RoleCommand>,
}

#[derive(Clone, Debug, Subcommand)]
#[command(infer_subcommands = true)]
pub(crate) enum RoleCommand {
    /// Adds a role
    #[command(override_usage = "etcdkit role add [OPTIONS] <ROLE>")]
    Add(Words),
    /// Deletes a role
    #[command(override_usage = "etcdkit role delete [OPTIONS] <ROLE>")]
    Delete(Words),
    /// Tells the permissions of a role
    #[command(override_usage = "etcdkit role get [OPTIONS] <ROLE>")]
    Get(Words),
    /// Lists all roles
    List(Words),
    /// Permits a role to read or write keys
    #[command(
        override_usage = "etcdkit role grant-permission [OPTIONS] <ROLE> <read|write|readwrite> <KEY> [END_KEY]"
    )]
    GrantPermission(PermissionArgs),
    /// Takes a permission from a role; the keys must be exactly those of the grant
    #[command(override_usage = "etcdkit role revoke-permission [OPTIONS] <ROLE> <KEY> [END_KEY]")]
    RevokePermission(PermissionArgs),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct PermissionArgs {
    #[arg(hide = true)]
    pub(crate) args: Vec<OsString>,

    /// All keys with this prefix
    #[arg(long)]
    pub(crate) prefix: bool,

    /// All keys that are greater than or equal to the given key using byte compare
    #[arg(long)]
    pub(crate) from_key: bool,
}
