//! Where galleries are kept: in files or in a database. Who uses one does not know in which.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Gallery, Search};
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::output::Lock;
use crate::text::SCHEMES;

/// An index that finds the nearest embeddings without looking at all, and misses some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Index {
    /// Y. Malkov, D. Yashunin, *Efficient and robust approximate nearest neighbor search using Hierarchical Navigable
    /// Small World graphs*, 2016.
    Hnsw,
}

/// Where a gallery is kept. Shown without any password.
pub trait Place: fmt::Display + Send + Sync {
    /// The gallery there, as it is now.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Database`] if it cannot be read; [`Error::Gallery`] if it is none or contradicts itself.
    fn load(&self) -> Result<Gallery>;

    /// The gallery there, or an empty one where there is none yet.
    ///
    /// # Errors
    /// As [`Place::load`]; [`Error::Gallery`] where it is not of `model`.
    fn open(&self, model: &Checkpoint) -> Result<Gallery>;

    /// A text that is another one whenever the gallery there has been changed.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Database`] if that cannot be known.
    fn stamp(&self) -> Result<String>;

    /// Begins a change of the gallery there, or of a new one where there is none.
    ///
    /// # Errors
    /// As [`Place::load`]; [`Error::Gallery`] where it is not of `model`; [`Error::Busy`] where another program is
    /// changing it and does not let others wait.
    fn change<'a>(&'a self, model: &'a Checkpoint) -> Result<Box<dyn Change + 'a>>;

    /// Keeps a gallery where there is none yet.
    ///
    /// # Errors
    /// [`Error::Gallery`] where there is one; what keeps it from being written.
    fn create(&self, gallery: &Gallery) -> Result<()>;

    /// Makes an index of the embeddings, which follows all later changes.
    ///
    /// # Errors
    /// [`Error::Config`] for a file, which has none; what the database says.
    fn make_index(&self, index: Index) -> Result<()>;

    /// The gallery to be asked: exactly, or by an index that was made.
    ///
    /// # Errors
    /// As [`Place::load`]; [`Error::Config`] where the index is not there.
    fn search(&self, index: Option<Index>) -> Result<Search>;
}

/// A change of a gallery: all of it happens, or nothing.
pub trait Change {
    /// The gallery as it is. From now on nobody else changes it.
    ///
    /// # Errors
    /// As [`Place::change`].
    fn gallery(&mut self) -> Result<Gallery>;

    /// Keeps what [`Change::gallery`] gave, changed.
    ///
    /// # Errors
    /// What keeps it from being written; the gallery is as it was before.
    fn save(self: Box<Self>, gallery: &Gallery) -> Result<()>;
}

/// The place that `text` names: a file, or `postgres://user@host/db?gallery=NAME`. The password of the database may be
/// given apart from it, so that it stands in no command line.
///
/// # Errors
/// [`Error::Config`] where a URL cannot be understood, or this program knows no databases.
pub fn place(text: &OsStr, password: Option<&str>) -> Result<Box<dyn Place>> {
    match text.to_str().filter(|text| SCHEMES.iter().any(|scheme| text.starts_with(scheme))) {
        None => Ok(Box::new(File(PathBuf::from(text)))),
        #[cfg(feature = "postgres")]
        Some(url) => Ok(Box::new(super::database::Database::parse(url, password)?)),
        #[cfg(not(feature = "postgres"))]
        Some(_) => {
            let _ = password;
            let reason = "this program was built without the feature `postgres`, which galleries in a database take: \
                          build it by `cargo build --release --features postgres`";
            Err(Error::config("GALLERY", reason))
        }
    }
}

struct File(PathBuf);

impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl Place for File {
    fn load(&self) -> Result<Gallery> {
        Gallery::load(&self.0)
    }

    fn open(&self, model: &Checkpoint) -> Result<Gallery> {
        if !self.0.exists() {
            return Gallery::new(model);
        }
        let gallery = Gallery::load(&self.0)?;
        gallery.check_model(&self.0, model)?;
        Ok(gallery)
    }

    fn stamp(&self) -> Result<String> {
        let found = match fs::metadata(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok("nothing".to_owned()),
            found => found.map_err(Error::io("read", &self.0))?,
        };
        // Each change makes a new file.
        #[cfg(unix)]
        let number = std::os::unix::fs::MetadataExt::ino(&found);
        #[cfg(not(unix))]
        let number = 0;
        Ok(format!("{number} {} {:?}", found.len(), found.modified().ok()))
    }

    fn change<'a>(&'a self, model: &'a Checkpoint) -> Result<Box<dyn Change + 'a>> {
        let lock = Lock::take(&self.0)?;
        let gallery = self.open(model)?;
        Ok(Box::new(FileChange { path: &self.0, gallery: Some(gallery), _lock: lock }))
    }

    fn create(&self, gallery: &Gallery) -> Result<()> {
        let _lock = Lock::take(&self.0)?;
        if self.0.exists() {
            return Err(Error::output(&self.0, "it is there already"));
        }
        gallery.save(&self.0)
    }

    fn make_index(&self, _: Index) -> Result<()> {
        Err(Error::config("--index", "a file is searched exactly; an index is made of a gallery in a database"))
    }

    fn search(&self, index: Option<Index>) -> Result<Search> {
        index.map_or(Ok(()), |index| self.make_index(index))?;
        self.load().map(Search::exact)
    }
}

struct FileChange<'a> {
    path: &'a Path,
    /// Until it is taken.
    gallery: Option<Gallery>,
    _lock: Lock,
}

impl Change for FileChange<'_> {
    fn gallery(&mut self) -> Result<Gallery> {
        Ok(self.gallery.take().expect("a gallery is asked for once"))
    }

    fn save(self: Box<Self>, gallery: &Gallery) -> Result<()> {
        gallery.save(self.path)
    }
}
