//! `key` and `store-secret`: the keys of shops and of the operator, and the secrets with which
//! stores sign. A running server knows a change within two seconds.

use std::process::ExitCode;

use chrono::{TimeDelta, Utc};
use clap::{ArgGroup, Args, Subcommand};
use loyalty_core::{ShopId, StoreId, Timestamp};
use loyalty_http::{Clock, auth};
use loyalty_store::{
    AdminAction, AdminOutcome, AdminReply, AdminRequest, ApiKeyRecord, KeyOwner, NewApiKey, Scope,
    SqliteAdmin,
};

use super::secret::{NamedSecret, ShowSecrets, add_to, describe};
use super::{CommandResult, Database, print};

#[derive(Subcommand)]
pub(crate) enum KeyCommand {
    /// Create a key for a shop or for the operator, and show it once.
    Create(CreateKey),
    /// List the keys that are valid.
    List {
        #[command(flatten)]
        owner: Owner,
        #[command(flatten)]
        database: Database,
        /// Print JSON, one key per line.
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key.
    Revoke {
        /// The key's id.
        key_id: String,
        /// Revoke also the last key that can make others.
        #[arg(long)]
        allow_last: bool,
        #[command(flatten)]
        database: Database,
    },
    /// Replace a key by a new one with the same name, scopes and end, and show it once.
    Rotate {
        /// The key's id.
        key_id: String,
        /// Seconds for which the old key stays valid: a day by default, 30 days at most.
        #[arg(long, default_value_t = 86_400, value_parser = clap::value_parser!(i64).range(0..=2_592_000))]
        grace: i64,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Subcommand)]
pub(crate) enum SecretCommand {
    /// Give a store a new secret, and show it once. The one before it stays valid for a time.
    Rotate {
        /// The shop's id.
        shop_id: i64,
        /// The connected store.
        #[arg(long, default_value = "plugin", value_parser = parse_store)]
        store: StoreId,
        /// Seconds for which the old secret stays valid: a day by default, 30 days at most.
        #[arg(long, default_value_t = 86_400, value_parser = clap::value_parser!(i64).range(0..=2_592_000))]
        grace: i64,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Args)]
pub(crate) struct CreateKey {
    #[command(flatten)]
    owner: Owner,
    /// What the key is for.
    #[arg(long, value_parser = super::parse_name)]
    name: String,
    /// What a shop's key may do: read, write, admin; separate several with commas.
    #[arg(long, value_delimiter = ',', value_parser = parse_scope, default_value = "read")]
    scope: Vec<Scope>,
    /// The end of the key, such as 2030-01-31T12:00:00Z.
    #[arg(long, value_parser = parse_end)]
    expires: Option<Timestamp>,
    #[command(flatten)]
    output: Output,
}

/// Whose keys.
#[derive(Args)]
#[command(group = ArgGroup::new("owner").required(true).args(["shop_id", "operator"]))]
pub(crate) struct Owner {
    /// The shop's id.
    shop_id: Option<i64>,
    /// Keys of the operator, which are of no shop and have the scope operator.
    #[arg(long)]
    operator: bool,
}

impl Owner {
    fn key_owner(&self) -> KeyOwner {
        self.shop_id
            .map_or(KeyOwner::Operator, |shop| KeyOwner::Shop(ShopId(shop)))
    }
}

#[derive(Args)]
pub(crate) struct Output {
    #[command(flatten)]
    pub(crate) database: Database,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) show: ShowSecrets,
}

fn parse_scope(text: &str) -> Result<Scope, String> {
    let mut scopes = Scope::OF_SHOP.into_iter();
    scopes
        .find(|scope| scope.name() == text)
        .ok_or_else(|| "must be read, write or admin".to_owned())
}

fn parse_store(text: &str) -> Result<StoreId, String> {
    StoreId::new(text).ok_or_else(|| "must be lower-case letters, digits, - and _".to_owned())
}

fn parse_end(text: &str) -> Result<Timestamp, String> {
    let end = chrono::DateTime::parse_from_rfc3339(text);
    let end = end.map_err(|_| "must be a time such as 2030-01-31T12:00:00Z".to_owned())?;
    let end = end.with_timezone(&Utc);
    if end <= Clock::system().now() {
        return Err("must be in the future".to_owned());
    }
    Ok(end)
}

/// Runs a command of `key`.
pub(crate) fn run(command: KeyCommand) -> CommandResult {
    match command {
        KeyCommand::Create(options) => create_key(options),
        KeyCommand::List { owner, database, json } => list_keys(&database, &owner, json),
        KeyCommand::Revoke { key_id, allow_last, database } => {
            let admin = database.open_existing()?;
            let owner = find_owner(&admin, &key_id)?;
            let action = AdminAction::RevokeKey { id: key_id.clone(), allow_last };
            administer(&admin, owner, action)?;
            print(&format!("Key {key_id} is revoked."))?;
            Ok(ExitCode::SUCCESS)
        }
        KeyCommand::Rotate { key_id, grace, output } => {
            let admin = output.database.open_existing()?;
            let owner = find_owner(&admin, &key_id)?;
            let (replacement, text) = auth::draw_key().map_err(|error| error.to_string())?;
            let grace = TimeDelta::seconds(grace);
            let action = AdminAction::RotateKey { id: key_id, replacement, grace };
            show_key(&output, administer(&admin, owner, action)?, &text)
        }
    }
}

/// Runs a command of `store-secret`.
pub(crate) fn run_secret(command: SecretCommand) -> CommandResult {
    let SecretCommand::Rotate { shop_id, store, grace, output } = command;
    let admin = output.database.open_existing()?;
    let shop = find_shop(&admin, ShopId(shop_id))?;
    let secret = auth::draw_secret().map_err(|error| error.to_string())?;
    let shown = secret.clone();
    let label = format!("{}-secret-{shop}", store.as_str());
    let id = store.as_str().to_owned();
    let grace = TimeDelta::seconds(grace);
    let action = AdminAction::RotateStoreSecret { store, secret, grace, may_create: false };
    administer(&admin, KeyOwner::Shop(shop), action)?;

    let secrets = [("secret", shown.expose())];
    let described = serde_json::json!({ "shop_id": shop.to_string(), "store_id": id });
    let sentence = format!("Store {id} of shop {shop} has a new secret to sign with,");
    output.show_secrets(&label, &secrets, described, &sentence)
}

fn create_key(options: CreateKey) -> CommandResult {
    let CreateKey { owner, name, mut scope, expires, output } = options;
    let admin = output.database.open_existing()?;
    let owner = owner.key_owner();
    if let KeyOwner::Shop(shop) = owner {
        find_shop(&admin, shop)?;
    } else {
        scope = vec![Scope::Operator];
    }
    scope.sort_unstable();
    scope.dedup();
    let (hash, text) = auth::draw_key().map_err(|error| error.to_string())?;
    let key = NewApiKey { hash, name, scopes: scope, expires_at: expires };
    show_key(&output, administer(&admin, owner, AdminAction::CreateKey(key))?, &text)
}

fn list_keys(database: &Database, owner: &Owner, json: bool) -> CommandResult {
    let admin = database.open_existing()?;
    let owner = owner.key_owner();
    if let KeyOwner::Shop(shop) = owner {
        find_shop(&admin, shop)?;
    }
    let now = Clock::system().now();
    let keys = admin.api_keys(owner).map_err(|error| error.to_string())?;
    for key in keys.iter().filter(|key| key.is_valid(now)) {
        let time = |at: Option<Timestamp>| at.map(|at| at.to_rfc3339());
        let scopes: Vec<_> = key.key.scopes.iter().map(|scope| scope.name()).collect();
        let (end, last_use) = (time(key.key.expires_at), time(key.last_used_at));
        if json {
            let line = serde_json::json!({
                "key_id": key.id(),
                "name": key.key.name,
                "scopes": scopes,
                "created_at": key.created_at.to_rfc3339(),
                "expires_at": end,
                "last_used_at": last_use,
            });
            print(&line.to_string())?;
        } else {
            let (scopes, none) = (scopes.join(","), || "never".to_owned());
            let (end, last_use) = (end.unwrap_or_else(none), last_use.unwrap_or_else(none));
            let (id, name) = (key.id(), &key.key.name);
            print(&format!("{id}\t{name}\t{scopes}\tends {end}\tlast used {last_use}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn find_shop(admin: &SqliteAdmin, shop: ShopId) -> Result<ShopId, String> {
    let shops = admin.shops().map_err(|error| error.to_string())?;
    let is_there = shops.iter().any(|known| known.id == shop);
    if is_there { Ok(shop) } else { Err(format!("there is no shop {shop}")) }
}

fn find_owner(admin: &SqliteAdmin, key: &str) -> Result<KeyOwner, String> {
    let found = admin.api_key(key).map_err(|error| error.to_string())?;
    found
        .map(|key| key.owner)
        .ok_or_else(|| format!("there is no key {key}: give its id, the part after lk_"))
}

/// Executes a change; a rejection is an error.
pub(crate) fn administer(
    admin: &SqliteAdmin,
    owner: KeyOwner,
    action: AdminAction,
) -> Result<AdminOutcome, String> {
    let request = AdminRequest::new(owner, Clock::system().now(), action);
    match admin.administer(request).map_err(|error| error.to_string())? {
        AdminReply::Decided(outcome) => outcome.map_err(|rejection| rejection.to_string()),
        AdminReply::Stored { .. } => Err("a stored response without a key".to_owned()),
    }
}

fn show_key(output: &Output, outcome: AdminOutcome, text: &str) -> CommandResult {
    let AdminOutcome::Key(record) = outcome else {
        return Err("no key was made".to_owned());
    };
    let ApiKeyRecord { owner, ref key, .. } = record;
    let shop = owner.shop().map(|shop| shop.to_string());
    let described = serde_json::json!({ "key_id": record.id(), "name": key.name, "shop_id": shop });
    let whose = shop.map_or_else(|| "The operator".to_owned(), |shop| format!("Shop {shop}"));
    let sentence = format!("{whose} has a new key,");
    output.show_secrets(&format!("key-{}", record.id()), &[("key", text)], described, &sentence)
}

impl Output {
    /// Shows secrets once.
    pub(crate) fn show_secrets(
        &self,
        label: &str,
        secrets: &[NamedSecret<'_>],
        mut described: serde_json::Value,
        sentence: &str,
    ) -> CommandResult {
        let shown = self.show.show(&self.database.db, label, secrets)?;
        if self.json {
            add_to(&mut described, &shown, secrets);
            print(&described.to_string())?;
        } else {
            print(&format!("{sentence} {}", describe(&shown, secrets)))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
