//! auth, user, role.

use clap::{Args, Subcommand};

use super::Words;

#[derive(Args, Clone, Debug)]
pub(crate) struct AuthArgs {
    #[command(subcommand)]
    pub(crate) command: Option<AuthCommand>,
}

#[derive(Clone, Debug, Subcommand)]
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
pub(crate) enum UserCommand {
    /// Adds a user; without a password, it is asked for
    #[command(override_usage = "etcdkit v2 user add [OPTIONS] <USER[:PASSWORD]>")]
    Add(Words),
    /// Tells the roles of a user
    #[command(override_usage = "etcdkit v2 user get [OPTIONS] <USER>")]
    Get(Words),
    /// Lists all users
    List(Words),
    /// Removes a user
    #[command(override_usage = "etcdkit v2 user remove [OPTIONS] <USER>")]
    Remove(Words),
    /// Grants roles to a user
    Grant(RolesArgs),
    /// Revokes roles from a user
    Revoke(RolesArgs),
    /// Changes the password of a user, which is asked for
    #[command(override_usage = "etcdkit v2 user passwd [OPTIONS] <USER>")]
    Passwd(Words),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct RolesArgs {
    /// The user
    #[arg(value_name = "USER")]
    pub(crate) args: Vec<String>,

    /// A role; may be given several times
    #[arg(long = "roles", value_name = "ROLE")]
    pub(crate) roles: Vec<String>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct RoleArgs {
    #[command(subcommand)]
    pub(crate) command: Option<RoleCommand>,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum RoleCommand {
    /// Adds a role
    #[command(override_usage = "etcdkit v2 role add [OPTIONS] <ROLE>")]
    Add(Words),
    /// Tells the permissions of a role
    #[command(override_usage = "etcdkit v2 role get [OPTIONS] <ROLE>")]
    Get(Words),
    /// Lists all roles
    List(Words),
    /// Removes a role
    #[command(override_usage = "etcdkit v2 role remove [OPTIONS] <ROLE>")]
    Remove(Words),
    /// Lets a role read or write keys
    Grant(PermissionArgs),
    /// Lets a role no longer read or write keys
    Revoke(PermissionArgs),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct PermissionArgs {
    /// The role
    #[arg(value_name = "ROLE")]
    pub(crate) args: Vec<String>,

    /// The key; one that ends in * stands for all that begin like it
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "PATH"
    )]
    pub(crate) path: String,

    /// Reading only
    #[arg(long)]
    pub(crate) read: bool,

    /// Writing only
    #[arg(long)]
    pub(crate) write: bool,

    /// Both
    #[arg(long, visible_alias = "rw")]
    pub(crate) readwrite: bool,
}
