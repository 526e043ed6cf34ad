//! Galleries in PostgreSQL, with pgvector: tables in a schema `siamese`, made by versioned migrations.
//!
//! A gallery is read as a whole, in one snapshot, and answers from memory: the answers are the file's, to the bit. What
//! has changed is written, in one transaction, during which the row of the gallery is locked.

use std::collections::{BTreeMap, HashMap};
use std::error::Error as _;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use pgvector::Vector;
use postgres::binary_copy::{BinaryCopyInWriter, BinaryCopyOutIter, BinaryCopyOutRow};
use postgres::config::Host;
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::Type;
use postgres::{Client, Config, NoTls, Row, Statement};

use super::place::{Change, Index, Place};
use super::search::{Approximate, Candidate, Search};
use super::{Content, Gallery, Picture, Threshold, Unsaved, numbered};
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};

/// What brings the tables from each version to the next, the first from none.
const MIGRATIONS: &[&str] = &[include_str!("migrations/1.sql")];

/// Key of the lock under which tables are made: any number that others do not take.
const MIGRATING: i64 = 0x5149_4d45_5345;

/// How long a server may take to answer, unless the URL says it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A gallery of a database.
pub(super) struct Database {
    config: Config,
    /// The gallery's.
    name: String,
    /// The URL without what is secret.
    shown: String,
}

/// What the parts of a query stand for: `%41` is `A`.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, behind) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = behind;
    }
    String::from_utf8(bytes).ok()
}

impl Database {
    pub(super) fn parse(url: &str, password: Option<&str>) -> Result<Database> {
        // Not a word of the URL: any part may be a password that was not written as it should.
        let fault = |what: &str| {
            let reason = format!(
                "{what}: a database is given as postgres://user@host:port/db?gallery=NAME, or with ?host=/folder for a \
                 socket; of a password there, and of NAME, `%40` stands for `@`, `%3F` for `?`, `%25` for `%`"
            );
            Error::config("GALLERY", reason)
        };
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (own, others): (Vec<_>, Vec<_>) =
            query.split('&').filter(|part| !part.is_empty()).partition(|part| part.starts_with("gallery="));
        let name = match own.as_slice() {
            [part] => decoded(&part["gallery=".len()..]).filter(|name| !name.is_empty() && !name.contains('\0')),
            _ => None,
        };
        let name = name.ok_or_else(|| fault("the URL names no gallery"))?;
        let config = format!("{base}?{}", others.join("&")).parse();
        let mut config: Config = config.map_err(|_| fault("the URL cannot be understood"))?;
        if let (None, Some(password)) = (config.get_password(), password) {
            config.password(password);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(PATIENCE);
        }
        let user = config.get_user().map(|user| format!("{user}@")).unwrap_or_default();
        let hosts = config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(folder) => folder.display().to_string(),
        });
        let hosts = hosts.collect::<Vec<_>>().join(",");
        let db = config.get_dbname().unwrap_or_default();
        let shown = format!("postgres://{user}{hosts}/{db}?gallery={name}");
        Ok(Database { config, name, shown })
    }

    /// What the server or the way to it says.
    fn fault(&self, error: postgres::Error) -> Error {
        let reason = match (error.as_db_error(), error.source()) {
            (Some(said), _) => format!("the server says: {}", said.message()),
            (None, Some(cause)) => format!("{error} ({cause})"),
            (None, None) => error.to_string(),
        };
        Error::Database { place: self.shown.clone(), reason }
    }

    fn gallery_fault(&self, reason: impl Into<String>) -> Error {
        Error::Gallery { path: self.shown.clone().into(), reason: reason.into() }
    }

    fn missing(&self) -> Error {
        self.gallery_fault("there is no such gallery: `siamese enroll` makes one")
    }

    /// A connection to a database that has the tables.
    fn connect(&self) -> Result<Client> {
        let mut client = self.config.connect(NoTls).map_err(|error| self.fault(error))?;
        let newest = MIGRATIONS.len() as i32;
        let found = migrate(&mut client).map_err(|error| self.fault(error))?;
        if found > newest {
            let reason = format!("its tables are of version {found}, and this program knows them up to {newest}");
            return Err(self.gallery_fault(reason));
        }
        Ok(client)
    }

    /// The number of the gallery and what is said of all of it, with no identity; `None`: there is none. With `lock` no
    /// other program changes it until the transaction ends.
    fn head(&self, client: &mut Client, lock: bool) -> Result<Option<(i64, Gallery)>> {
        let lock = if lock { "for update" } else { "" };
        let query = format!(
            "select gallery, model, dims, distance, threshold, far from siamese.galleries where name = $1 {lock}"
        );
        let Some(row) = client.query_opt(&query, &[&self.name]).map_err(|error| self.fault(error))? else {
            return Ok(None);
        };
        let distance: String = row.get("distance");
        let distance = serde_json::from_value(distance.clone().into())
            .map_err(|_| self.gallery_fault(format!("its distance is `{distance}`, which is not known")))?;
        let threshold: Option<f32> = row.get("threshold");
        let gallery = Gallery {
            dims: row.get::<_, i32>("dims") as usize,
            threshold: threshold.map(|distance| Threshold { distance, far: row.get("far") }),
            ..Gallery::empty(row.get("model"), distance)
        };
        Ok(Some((row.get("gallery"), gallery)))
    }

    /// Reads the gallery in one snapshot, if it is there.
    fn find(&self) -> Result<Option<Gallery>> {
        let mut client = self.connect()?;
        client.batch_execute("begin isolation level repeatable read read only").map_err(|error| self.fault(error))?;
        let head = self.head(&mut client, false)?;
        head.map(|(id, head)| self.read(&mut client, id, head)).transpose()
    }

    /// Reads all of a gallery.
    fn read(&self, client: &mut Client, id: i64, mut head: Gallery) -> Result<Gallery> {
        let numbers = names(client, id, &mut head).map_err(|error| self.fault(error))?;
        let is_whole = embeddings(client, id, &mut head, &numbers).map_err(|error| self.fault(error))?;
        let gallery = if is_whole { head.checked() } else { Err("its embeddings are not all of one length".into()) };
        gallery.map_err(|reason| self.gallery_fault(reason))
    }
}

/// Makes the tables, or brings them to the newest version; answers which version they have.
fn migrate(client: &mut Client) -> Result<i32, postgres::Error> {
    let newest = MIGRATIONS.len() as i32;
    let is_there: bool = client.query_one("select to_regclass('siamese.migrations') is not null", &[])?.get(0);
    if is_there {
        let found = version(client)?;
        if found >= newest {
            return Ok(found);
        }
    }
    let mut change = client.transaction()?;
    change.execute("select pg_advisory_xact_lock($1)", &[&MIGRATING])?;
    change.batch_execute(
        "create schema if not exists siamese;
         create table if not exists siamese.migrations (
             version integer primary key, made timestamptz not null default now()
         )",
    )?;
    // Another program may have been before.
    let found = version(&mut change)?;
    for (version, sql) in (1..).zip(MIGRATIONS).skip(found as usize) {
        change.batch_execute(sql)?;
        change.execute("insert into siamese.migrations (version) values ($1)", &[&version])?;
    }
    change.commit()?;
    Ok(found.max(newest))
}

fn version(client: &mut impl postgres::GenericClient) -> Result<i32, postgres::Error> {
    Ok(client.query_one("select coalesce(max(version), 0) from siamese.migrations", &[])?.get(0))
}

/// The type of embeddings, whose number differs from database to database.
fn vector(client: &mut Client) -> Result<Type, postgres::Error> {
    let statement = client.prepare("select embedding from siamese.embeddings")?;
    Ok(statement.columns()[0].type_().clone())
}

/// The rows of a query, as they come.
fn copied(
    client: &mut Client,
    query: &str,
    types: &[Type],
    each: impl FnMut(BinaryCopyOutRow) -> Result<(), postgres::Error>,
) -> Result<(), postgres::Error> {
    let copy = client.copy_out(&format!("copy ({query}) to stdout (format binary)"))?;
    BinaryCopyOutIter::new(copy, types).for_each(each)
}

/// Reads the identities and pictures of a gallery whose `head` is read; answers the place of each identity's number.
fn names(client: &mut Client, id: i64, head: &mut Gallery) -> Result<HashMap<i32, u32>, postgres::Error> {
    let mut numbers: HashMap<i32, u32> = HashMap::new();
    let query = format!("select identity, name from siamese.identities where gallery = {id} order by identity");
    copied(client, &query, &[Type::INT4, Type::TEXT], |row| {
        numbers.insert(row.try_get::<i32>(0)?, head.identities.len() as u32);
        head.identities.push(row.try_get(1)?);
        Ok(())
    })?;
    head.numbers = numbered(&head.identities);
    let query = format!("select identity, name, content from siamese.sources where gallery = {id} order by content");
    let mut pictures = Vec::new();
    copied(client, &query, &[Type::INT4, Type::TEXT, Type::BYTEA], |row| {
        let (identity, name) = (numbers[&row.try_get::<i32>(0)?], row.try_get(1)?);
        match row.try_get::<Option<&[u8]>>(2)? {
            Some(content) => pictures
                .push((Content(content.try_into().expect("the table has 32 bytes")), Picture { name, identity })),
            None => drop(head.sources.insert(name, identity)),
        }
        Ok(())
    })?;
    head.pictures = BTreeMap::from_iter(pictures);
    Ok(numbers)
}

/// Reads its embeddings; answers whether all have the length that they should.
fn embeddings(
    client: &mut Client,
    id: i64,
    head: &mut Gallery,
    numbers: &HashMap<i32, u32>,
) -> Result<bool, postgres::Error> {
    let query =
        format!("select identity, images, embedding from siamese.embeddings where gallery = {id} order by number");
    let vector = vector(client)?;
    let mut is_whole = true;
    copied(client, &query, &[Type::INT4, Type::INT4, vector], |row| {
        head.identity.push(numbers[&row.try_get::<i32>(0)?]);
        head.images.push(row.try_get::<i32>(1)? as u32);
        let embedding: Vector = row.try_get(2)?;
        is_whole &= embedding.as_slice().len() == head.dims;
        head.embeddings.extend_from_slice(embedding.as_slice());
        Ok(())
    })?;
    head.unsaved.rows = Some(head.identity.len());
    Ok(is_whole)
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.shown.fmt(f)
    }
}

impl Place for Database {
    fn load(&self) -> Result<Gallery> {
        self.find()?.ok_or_else(|| self.missing())
    }

    fn open(&self, model: &Checkpoint) -> Result<Gallery> {
        let Some(gallery) = self.find()? else { return Gallery::new(model) };
        gallery.check_model(Path::new(&self.shown), model)?;
        Ok(gallery)
    }

    fn stamp(&self) -> Result<String> {
        let mut client = self.connect()?;
        // Each change ends with one of this row, whose version is the number of the transaction that made it.
        let query = "select gallery::text || ' ' || xmin::text from siamese.galleries where name = $1";
        let row = client.query_opt(query, &[&self.name]).map_err(|error| self.fault(error))?;
        Ok(row.map_or_else(|| "nothing".to_owned(), |row| row.get(0)))
    }

    fn change<'a>(&'a self, model: &'a Checkpoint) -> Result<Box<dyn Change + 'a>> {
        let mut client = self.connect()?;
        // Before the work whose outcome will be kept.
        if let Some((_, head)) = self.head(&mut client, false)? {
            head.check_model(Path::new(&self.shown), model)?;
        }
        Ok(Box::new(DatabaseChange { place: self, model, client, id: None }))
    }

    fn create(&self, gallery: &Gallery) -> Result<()> {
        let mut client = self.connect()?;
        client.batch_execute("begin").map_err(|error| self.fault(error))?;
        if !self.insert(&mut client, gallery)? {
            return Err(self.gallery_fault("it is there already"));
        }
        let (id, _) = self.head(&mut client, true)?.expect("it was made");
        let pictures = gallery.pictures.keys().copied().collect();
        let all = Unsaved { removed: Vec::new(), rows: Some(0), pictures };
        self.write(&mut client, id, gallery, &all, true)
    }

    fn make_index(&self, Index::Hnsw: Index) -> Result<()> {
        let mut client = self.connect()?;
        let (id, head) = self.head(&mut client, false)?.ok_or_else(|| self.missing())?;
        let dims = head.dims;
        let made = client.batch_execute(&format!(
            "create index if not exists hnsw_{id} on siamese.embeddings
             using hnsw ((embedding::vector({dims})) vector_l2_ops) where gallery = {id}"
        ));
        made.map_err(|error| self.fault(error))
    }

    fn search(&self, index: Option<Index>) -> Result<Search> {
        let Some(Index::Hnsw) = index else { return self.load().map(Search::exact) };
        let mut client = self.connect()?;
        let begin = format!(
            "begin isolation level repeatable read read only; set local hnsw.ef_search = {WIDTH}; \
             set local hnsw.iterative_scan = strict_order"
        );
        client.batch_execute(&begin).map_err(|error| self.fault(error))?;
        let (id, mut head) = self.head(&mut client, false)?.ok_or_else(|| self.missing())?;
        let found = client.query_one(&format!("select to_regclass('siamese.hnsw_{id}') is not null"), &[]);
        if !found.map_err(|error| self.fault(error))?.get::<_, bool>(0) {
            let reason = "the gallery has no such index: `siamese enroll MODEL GALLERY --index hnsw` makes it";
            return Err(Error::config("--index", reason));
        }
        let numbers = names(&mut client, id, &mut head).map_err(|error| self.fault(error))?;
        let dims = head.dims;
        let ask = |and: &str, limit: &str| {
            format!(
                "select number, identity, embedding from siamese.embeddings where gallery = {id} {and}
                 order by embedding::vector({dims}) <-> $1 limit {limit}"
            )
        };
        let (nearest, other) = (ask("", "$2"), ask("and identity <> $2", "1"));
        let mut prepared = |query: &str| client.prepare(query).map_err(|error| self.fault(error));
        let (nearest, other) = (prepared(&nearest)?, prepared(&other)?);
        let place = Database { config: self.config.clone(), name: self.name.clone(), shown: self.shown.clone() };
        let index = Hnsw { place, client, nearest, other, numbers };
        Ok(Search::approximate(head, Box::new(index)))
    }
}

/// How many embeddings the index keeps in view: more are slower, and fewer are missed.
const WIDTH: usize = 100;

/// Embeddings that the index is asked for at least: among few there is often but one identity.
const FEWEST: usize = 10;

/// The index of a gallery, in one snapshot.
struct Hnsw {
    place: Database,
    client: Client,
    /// The nearest embeddings.
    nearest: Statement,
    /// The nearest one of another identity.
    other: Statement,
    /// The place of each number of an identity.
    numbers: HashMap<i32, u32>,
}

impl Hnsw {
    fn ask(&mut self, probe: &[f32], k: usize) -> Result<Vec<Candidate>, postgres::Error> {
        let probe = Vector::from(probe.to_vec());
        let mut rows = self.client.query(&self.nearest, &[&probe, &(k.max(FEWEST) as i64)])?;
        let owner = |row: &Row| row.get::<_, i32>(1);
        if let Some(first) = rows.first().map(owner).filter(|first| rows.iter().all(|row| owner(row) == *first)) {
            rows.extend(self.client.query(&self.other, &[&probe, &first])?);
        }
        let candidate = |row: Row| {
            let embedding: Vector = row.get(2);
            let identity = self.numbers[&owner(&row)];
            Candidate { row: row.get::<_, i64>(0) as u32, identity, embedding: embedding.to_vec() }
        };
        Ok(rows.into_iter().map(candidate).collect())
    }
}

impl Approximate for Hnsw {
    fn near(&mut self, probe: &[f32], k: usize) -> Result<Vec<Candidate>> {
        self.ask(probe, k).map_err(|error| self.place.fault(error))
    }
}

/// A change under way: what follows the lock of the gallery is one transaction, which ends with the connection.
struct DatabaseChange<'a> {
    place: &'a Database,
    model: &'a Checkpoint,
    client: Client,
    /// The number of the gallery, once it is locked.
    id: Option<i64>,
}

impl Change for DatabaseChange<'_> {
    fn gallery(&mut self) -> Result<Gallery> {
        let DatabaseChange { place, client, .. } = self;
        client.batch_execute("begin").map_err(|error| place.fault(error))?;
        place.insert(client, &Gallery::new(self.model)?)?;
        let (id, head) = place.head(client, true)?.ok_or_else(|| place.gallery_fault("it was removed just now"))?;
        head.check_model(Path::new(&place.shown), self.model)?;
        self.id = Some(id);
        place.read(client, id, head)
    }

    fn save(mut self: Box<Self>, gallery: &Gallery) -> Result<()> {
        let id = self.id.expect("a gallery is saved after it was asked for");
        self.place.write(&mut self.client, id, gallery, &gallery.unsaved, false)
    }
}

impl Database {
    /// Makes the gallery, with nobody in it; answers whether it was not there.
    fn insert(&self, client: &mut Client, gallery: &Gallery) -> Result<bool> {
        let distance = serde_json::to_value(gallery.distance).expect("plain data");
        let made = client.execute(
            "insert into siamese.galleries (name, model, dims, distance, version) values ($1, $2, $3, $4, $5)
             on conflict (name) do nothing",
            &[
                &self.name,
                &gallery.model,
                &(gallery.dims as i32),
                &distance.as_str().expect("the name of a distance"),
                &env!("CARGO_PKG_VERSION"),
            ],
        );
        Ok(made.map_err(|error| self.fault(error))? > 0)
    }

    /// Writes what is `unsaved` and ends the transaction. With `sources`, also the pictures that are known by their
    /// names alone.
    fn write(&self, client: &mut Client, id: i64, gallery: &Gallery, unsaved: &Unsaved, sources: bool) -> Result<()> {
        let lost = |error: postgres::Error| match self.fault(error) {
            Error::Database { place, reason } => {
                Error::Database { place, reason: format!("{reason}; the gallery is as it was before") }
            }
            other => other,
        };
        write(client, id, gallery, unsaved, sources).map_err(lost)?;
        client.batch_execute("commit").map_err(|error| self.fault(error))
    }
}

fn write(
    client: &mut Client,
    id: i64,
    gallery: &Gallery,
    unsaved: &Unsaved,
    sources: bool,
) -> Result<(), postgres::Error> {
    let removed = "delete from siamese.identities where gallery = $1 and name = any($2)";
    client.execute(removed, &[&id, &unsaved.removed])?;
    if unsaved.rows.is_none() {
        client.execute("delete from siamese.embeddings where gallery = $1", &[&id])?;
    }
    let known = client.query("select identity, name from siamese.identities where gallery = $1", &[&id])?;
    let mut numbers: HashMap<String, i32> = known.iter().map(|row| (row.get(1), row.get(0))).collect();
    let next = numbers.values().max().map_or(0, |last| last + 1);
    let new: Vec<&String> = gallery.identities.iter().filter(|name| !numbers.contains_key(*name)).collect();
    let new: Vec<(String, i32)> = new.into_iter().cloned().zip(next..).collect();
    copy(client, "identities (gallery, identity, name)", &[Type::INT8, Type::INT4, Type::TEXT], |writer| {
        new.iter().try_for_each(|(name, number)| writer.write(&[&id, number, name]))
    })?;
    numbers.extend(new);
    let numbers: Vec<i32> = gallery.identities.iter().map(|name| numbers[name]).collect();
    let number = |identity: u32| &numbers[identity as usize];

    let types = [Type::INT8, Type::INT4, Type::TEXT, Type::BYTEA];
    copy(client, "sources (gallery, identity, name, content)", &types, |writer| {
        let new = unsaved.pictures.iter().filter_map(|content| Some((content, gallery.pictures.get(content)?)));
        for (content, picture) in new {
            writer.write(&[&id, number(picture.identity), &picture.name, &Some(&content.0[..])])?;
        }
        let mut named = gallery.sources.iter().filter(|_| sources);
        named.try_for_each(|(name, &owner)| writer.write(&[&id, number(owner), name, &None::<&[u8]>]))
    })?;

    let next = "select coalesce(max(number) + 1, 0) from siamese.embeddings where gallery = $1";
    let next: i64 = client.query_one(next, &[&id])?.get(0);
    let types = [Type::INT8, Type::INT8, Type::INT4, Type::INT4, vector(client)?];
    copy(client, "embeddings (gallery, number, identity, images, embedding)", &types, |writer| {
        for (place, row) in (next..).zip(unsaved.rows.unwrap_or(0)..gallery.identity.len()) {
            let embedding = Vector::from(gallery.embeddings[row * gallery.dims..][..gallery.dims].to_vec());
            let (identity, images) = (number(gallery.identity[row]), gallery.images[row] as i32);
            writer.write(&[&id, &place, identity, &images, &embedding])?;
        }
        Ok(())
    })?;

    let (distance, far) =
        (gallery.threshold.map(|threshold| threshold.distance), gallery.threshold.and_then(|t| t.far));
    client.execute(
        "update siamese.galleries set threshold = $2, far = $3, version = $4 where gallery = $1",
        &[&id, &distance, &far, &env!("CARGO_PKG_VERSION")],
    )?;
    Ok(())
}

/// Appends what `fill` writes to the columns of a table.
fn copy(
    client: &mut Client,
    columns: &str,
    types: &[Type],
    fill: impl FnOnce(&mut BinaryCopyInWriter) -> Result<(), postgres::Error>,
) -> Result<(), postgres::Error> {
    let copy = client.copy_in(&format!("copy siamese.{columns} from stdin (format binary)"))?;
    let mut writer = BinaryCopyInWriter::new(copy, types);
    fill(&mut writer)?;
    writer.finish().map(drop)
}
