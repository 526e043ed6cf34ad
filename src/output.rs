//! Files that are written: whole or not at all, as readable as the one before, and over nothing of another kind.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use same_file::Handle;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::error::{Error, Result};
use crate::text::hex;

/// What a file is, known by how it begins: the writer of a kind may replace a file of that kind, and no other.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// What it is called, with an article.
    pub name: &'static str,
    /// Whether a file that begins with these bytes is one; it gets the first 64 KiB.
    pub is: fn(&[u8]) -> bool,
}

impl Kind {
    /// A file whose name and place are the program's own, such as those of a run folder: whatever is there is replaced.
    pub const OWN: Kind = Kind { name: "a file of the program", is: |_| true };
    /// A page.
    pub const HTML: Kind = Kind {
        name: "an HTML page",
        is: |head| head.get(..9).is_some_and(|start| start.eq_ignore_ascii_case(b"<!doctype")),
    };
}

/// Whether a file that begins so is a safetensors file whose first entry is this: metadata come behind their length.
pub(crate) fn is_safetensors(head: &[u8], entry: &str) -> bool {
    head.get(8..).is_some_and(|text| text.starts_with(format!("{{\"__metadata__\":{{\"{entry}\":").as_bytes()))
}

/// Bytes of a file that tell its kind.
const HEAD: u64 = 1 << 16;
/// Links that are followed, at most: as many as Linux follows.
const MOST_LINKS: usize = 40;
/// Age of a temporary file from which one that nobody holds is left over: a program makes one and holds it at once.
const LEFT_OVER: Duration = Duration::from_secs(60);

/// Where writing to a path leads.
enum Target {
    /// To a regular file, there or not: this is its path behind all links.
    File(PathBuf),
    /// To a device, a pipe, or a file that somebody has opened: it is written, never replaced.
    Stream,
}

/// Follows the links of `path`, the last of which may lead to nothing yet.
fn target(path: &Path) -> Result<Target> {
    let fault = || Error::io("write", path);
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Err(Error::output(path, "it is a folder")),
        Ok(found) if !found.is_file() => return Ok(Target::Stream),
        _ => {}
    }
    let mut file = path.to_owned();
    for _ in 0..MOST_LINKS {
        let name = file.file_name().ok_or_else(|| Error::output(path, "it is the name of a folder"))?;
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = fs::canonicalize(folder).map_err(fault())?;
        let own = folder.join(name);
        match fs::read_link(&own) {
            // What a process has opened, such as /dev/stdout where that is a file: its name leads back to nothing.
            Ok(_) if own.starts_with("/proc") => return Ok(Target::Stream),
            Ok(next) => file = folder.join(next),
            Err(_) => return Ok(Target::File(own)),
        }
    }
    Err(Error::output(path, "its links lead in a circle"))
}

/// A file to be written: its place and its kind are checked before the work whose outcome it will hold.
#[derive(Debug)]
pub struct Output {
    /// As it was named, for errors.
    path: PathBuf,
    /// Its path behind all links; `None`: a stream.
    file: Option<PathBuf>,
}

impl Output {
    /// Checks that a file of this kind can be written to `path`: a temporary one can be made beside it, and what is
    /// there already is empty, or of the kind and may be written.
    ///
    /// # Errors
    /// [`Error::Output`] where a folder or a file of another kind is there; [`Error::Io`] where nothing can be written.
    pub fn prepare(path: &Path, kind: Kind) -> Result<Output> {
        let output = Output::check(path, kind)?;
        if output.file.is_some() {
            output.temporary()?;
        }
        Ok(output)
    }

    fn check(path: &Path, kind: Kind) -> Result<Output> {
        let file = match target(path)? {
            Target::Stream => return Ok(Output { path: path.to_owned(), file: None }),
            Target::File(file) => file,
        };
        match File::options().read(true).append(true).open(&file) {
            Ok(old) => {
                let mut head = Vec::new();
                old.take(HEAD).read_to_end(&mut head).map_err(Error::io("read", path))?;
                if !head.is_empty() && !(kind.is)(&head) {
                    let reason = format!("it is not {}, and is not replaced by one", kind.name);
                    return Err(Error::output(path, reason));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("write", path)(error)),
        }
        Ok(Output { path: path.to_owned(), file: Some(file) })
    }

    /// Writes the file.
    ///
    /// # Errors
    /// [`Error::Io`] naming the path; an older file is then whole.
    pub fn commit(self, bytes: &[u8]) -> Result<()> {
        self.fill(|file| file.write_all(bytes))
    }

    /// Lets `write` make the file: a temporary one beside it, which gets the name when it is done.
    ///
    /// # Errors
    /// [`Error::Io`] naming the path; an older file is then whole.
    pub fn fill(self, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<()> {
        self.draft(write)?.publish()
    }

    /// The first half of [`Output::fill`], for files that are to change together: makes it without giving it its name.
    ///
    /// # Errors
    /// [`Error::Io`] naming the path.
    pub fn draft(self, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<Draft> {
        let path = self.path.clone();
        self.draft_of(|file| write(file).map_err(Error::io("write", &path)))
    }

    /// The same where what is written is made meanwhile, and its making may fail for reasons of its own.
    ///
    /// # Errors
    /// What `write` answers; [`Error::Io`] naming the path.
    pub fn draft_of<E: From<Error>>(self, write: impl FnOnce(&mut File) -> Result<(), E>) -> Result<Draft, E> {
        let fault = || Error::io("write", &self.path);
        let Some(path) = &self.file else {
            // What is opened for appending is not cut where it is a file after all.
            let mut stream = File::options().append(true).open(&self.path).map_err(fault())?;
            write(&mut stream)?;
            stream.flush().map_err(fault())?;
            return Ok(Draft { path: self.path, made: None });
        };
        remove_left_over(path);
        let mut file = self.temporary()?;
        write(file.as_file_mut())?;
        file.as_file_mut().flush().map_err(fault())?;
        if let Ok(old) = fs::metadata(path) {
            file.as_file().set_permissions(old.permissions()).map_err(fault())?;
        }
        file.as_file().sync_all().map_err(fault())?;
        let made = Some((file, path.clone()));
        Ok(Draft { path: self.path, made })
    }

    /// A temporary file beside it, held as long as it is written.
    fn temporary(&self) -> Result<NamedTempFile> {
        let path = self.file.as_ref().expect("a stream has none");
        let prefix = prefix(path);
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(SUFFIX);
        // As any new file: what the umask leaves.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(folder_of(path)).map_err(Error::io("write", &self.path))?;
        // Where there are no locks a file that is left over is not recognised, and stays.
        drop(file.as_file().try_lock());
        Ok(file)
    }
}

/// A file that is written and has not got its name yet.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    /// And its name; `None`: a stream.
    made: Option<(NamedTempFile, PathBuf)>,
}

impl Draft {
    /// Gives it its name.
    ///
    /// # Errors
    /// [`Error::Io`] naming the path.
    pub fn publish(self) -> Result<()> {
        let Some((file, name)) = self.made else { return Ok(()) };
        file.persist(&name).map_err(|error| Error::io("write", &self.path)(error.error))?;
        // The new name lasts once the folder is on the disk; not every file system can be asked for that.
        drop(File::open(folder_of(&name)).and_then(|folder| folder.sync_all()));
        Ok(())
    }
}

/// Writes a file of a kind.
///
/// # Errors
/// As [`Output::prepare`] and [`Output::commit`].
pub fn write(path: &Path, kind: Kind, bytes: &[u8]) -> Result<()> {
    Output::check(path, kind)?.commit(bytes)
}

fn folder_of(file: &Path) -> &Path {
    file.parent().expect("a file lies in a folder")
}

/// How the names of temporary files end.
const SUFFIX: &str = ".tmp";

/// How the temporary files of a file begin: no longer than a name may be, however long the file's is.
fn prefix(file: &Path) -> String {
    let name = Sha256::digest(file.file_name().unwrap_or_default().as_encoded_bytes());
    format!(".siamese-{}-", hex(&name[..4]))
}

/// Removes the temporary files of `file` that ended programs have left.
fn remove_left_over(file: &Path) {
    let prefix = prefix(file);
    for entry in fs::read_dir(folder_of(file)).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !(name.to_string_lossy().starts_with(&prefix) && name.to_string_lossy().ends_with(SUFFIX)) {
            continue;
        }
        let is_old = |entry: &fs::DirEntry| entry.metadata().ok()?.modified().ok()?.elapsed().ok();
        let free = || File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok());
        if is_old(&entry).is_some_and(|age| age > LEFT_OVER) && free() {
            // If it cannot be removed it does no harm.
            drop(fs::remove_file(entry.path()));
        }
    }
}

/// The right to change a file: held while it is read, changed and written, so that two programs do not lose each
/// other's changes. The lock is on a file `<name>.lock` beside it (beside what a link leads to), which goes with it.
#[derive(Debug)]
pub struct Lock {
    name: PathBuf,
    _file: File,
}

impl Lock {
    /// Takes it.
    ///
    /// # Errors
    /// [`Error::Busy`] where another program has it, [`Error::Output`] where no file can be, [`Error::Io`] where the
    /// lock cannot be made.
    pub fn take(path: &Path) -> Result<Lock> {
        let Target::File(file) = target(path)? else { return Err(Error::output(path, "it is no file")) };
        let mut name = file.into_os_string();
        name.push(".lock");
        let name = PathBuf::from(name);
        let fault = || Error::io("lock", &name);
        loop {
            // One that an ended program of somebody else has left can be held without being written.
            let made = File::options().create(true).append(true).open(&name);
            let file = made.or_else(|error| File::open(&name).map_err(|_| error)).map_err(fault())?;
            // In a shared folder anybody may hold it, whatever the umask of its maker, who alone can change that.
            #[cfg(unix)]
            drop(file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)));
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(Error::Busy { path: path.to_owned() }),
                Err(TryLockError::Error(source)) => return Err(fault()(source)),
            }
            // Whoever had it may have taken the file away between our opening and our locking.
            let held = Handle::from_file(file.try_clone().map_err(fault())?).map_err(fault())?;
            if Handle::from_path(&name).is_ok_and(|there| there == held) {
                return Ok(Lock { name, _file: file });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is held: another program that waits for it sees that it is gone. If it stays it does no harm.
        drop(fs::remove_file(&self.name));
    }
}
