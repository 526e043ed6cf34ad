//! A client of HTTP/1.1 that says what it is told to, however wrong, and a service to say it to.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use image::{GrayImage, ImageFormat, Luma};
use serde_json::Value;

use crate::program::{SPEC, siamese, small_set, succeed};

/// The token of services that have one.
pub const TOKEN: &str = "of-the-tests-alone";

/// A folder with the run of a small network, made once: `model`, and the set `data` that it was trained on.
pub fn model() -> &'static str {
    static MODEL: OnceLock<String> = OnceLock::new();
    MODEL.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("serve");
        drop(fs::remove_dir_all(&folder));
        let data = folder.join("data");
        fs::create_dir_all(&data).unwrap();
        small_set(&data);
        let [data, model] = [data, folder.join("model")].map(|path| path.to_str().unwrap().to_owned());
        let train = ["train", "--spec", SPEC, "--data", &data, "--steps", "60", "--batch", "4x12", "--adapter", "cpu"];
        succeed(&[train.as_slice(), &["--out", &model]].concat());
        model
    })
}

/// A picture for the small network, a bright quadrant on noise: others differ by `number`, which may be any.
pub fn picture(quadrant: u32, number: u32) -> Vec<u8> {
    let image = GrayImage::from_fn(8, 8, |x, y| {
        let place = number.wrapping_mul(4_241).wrapping_add((8 * y + x) * 40_503);
        let noise = place.wrapping_mul(2_654_435_761) >> 26;
        Luma([noise as u8 + if y / 4 * 2 + x / 4 == quadrant { 150 } else { 0 }])
    });
    let mut bytes = io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A service under test.
pub struct Service {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// What it says after that.
    words: Mutex<Receiver<String>>,
}

impl Service {
    /// Starts one on a gallery, with a token.
    pub fn start(gallery: &str, more: &[&str]) -> Service {
        let mut command = Service::command(gallery, more);
        Service::of(command.env("SIAMESE_TOKEN", TOKEN))
    }

    /// How one is started.
    pub fn command(gallery: &str, more: &[&str]) -> Command {
        let base = ["serve", model(), "--gallery", gallery, "--listen", "127.0.0.1:0", "--adapter", "cpu"];
        let arguments = [base.as_slice(), more].concat();
        // Another build of it, for measurements.
        let mut command = match std::env::var_os("SIAMESE") {
            Some(program) => Command::new(program),
            None => siamese(&[]),
        };
        command.args(arguments).env_remove("SIAMESE_TOKEN");
        command
    }

    /// Starts it.
    pub fn of(command: &mut Command) -> Service {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut before = String::new();
        let address = loop {
            let line = lines.next().unwrap_or_else(|| panic!("it does not start: {before}")).unwrap();
            if let Some(address) = line.strip_prefix("listening at http://") {
                break address.parse().unwrap();
            }
            before += &format!("{line}\n");
        };
        let (sender, words) = channel();
        let pass = move |lines: io::Lines<BufReader<ChildStderr>>| {
            lines.map_while(Result::ok).try_for_each(|line| sender.send(line))
        };
        std::thread::spawn(move || drop(pass(lines)));
        Service { child, address, words: Mutex::new(words) }
    }

    /// Sends a request and answers the reply.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n");
        headers.iter().for_each(|(name, value)| text += &format!("{name}: {value}\r\n"));
        if !headers.iter().any(|(name, _)| *name == "Transfer-Encoding") {
            text += &format!("Content-Length: {}\r\n", body.len());
        }
        let bytes = [text.as_bytes(), b"\r\n", body].concat();
        self.say(&bytes).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Sends bytes, whatever they are, and answers what comes back until the other side ends it.
    pub fn say(&self, bytes: &[u8]) -> io::Result<Reply> {
        let mut stream = self.connect()?;
        // Whoever is refused early need not have been listened to.
        drop(stream.write_all(bytes));
        Reply::read(&mut stream)
    }

    /// A connection.
    pub fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(stream)
    }

    /// Sends one picture.
    pub fn send(&self, method: &str, path: &str, picture: &[u8]) -> Reply {
        let token = format!("Bearer {TOKEN}");
        self.ask(method, path, &[("Content-Type", "image/png"), ("Authorization", &token)], picture)
    }

    /// Sends several, by their names.
    pub fn send_all(&self, method: &str, path: &str, pictures: &[(&str, Vec<u8>)]) -> Reply {
        let (token, kind) = (format!("Bearer {TOKEN}"), format!("multipart/form-data; boundary={BOUNDARY}"));
        self.ask(method, path, &[("Content-Type", &kind), ("Authorization", &token)], &form(pictures))
    }

    /// Asks for something.
    pub fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], &[])
    }

    /// Images of each identity.
    pub fn images(&self) -> Vec<(String, u64)> {
        let all = self.get("/v1/identities").json();
        let all = all["identities"].as_array().unwrap().iter();
        all.map(|own| (own["name"].as_str().unwrap().to_owned(), own["images"].as_u64().unwrap())).collect()
    }

    /// Bytes of memory that it has.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// Tells it to end.
    pub fn terminate(&self) {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(told.success());
    }

    /// Ends it at once.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end; answers how it ended, and what it said.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        (status, self.words.get_mut().unwrap().iter().map(|line| line + "\n").collect())
    }

    /// Tells it to end, which it must do as it should.
    pub fn end(self) -> String {
        self.terminate();
        let (status, words) = self.wait();
        assert_eq!(status.code(), Some(0), "{words}");
        assert!(!words.contains("panicked"), "{words}");
        words
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Where a test fails before its end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What stands between the parts of forms.
pub const BOUNDARY: &str = "a-line-between";

/// A form of pictures.
pub fn form(pictures: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, picture) in pictures {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"picture\"; filename=\"{name}\"\r\n\
             Content-Type: image/png\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(picture);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

/// What a service replied.
#[derive(Debug)]
pub struct Reply {
    /// 0: nothing came back.
    pub status: u16,
    /// In small letters.
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    /// Reads one, and all that follows.
    pub fn read(stream: &mut TcpStream) -> io::Result<Reply> {
        let mut bytes = Vec::new();
        match stream.read_to_end(&mut bytes) {
            // Of what was not read when the connection was ended.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            read => drop(read?),
        }
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(bytes.len());
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Ok(Reply { status, head, body: bytes.split_off((end + 4).min(bytes.len())) })
    }

    /// The body.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// That it is a refusal in the shape that all have; its text.
    pub fn refusal(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?} {}", String::from_utf8_lossy(&self.body));
        let body = self.json();
        assert!(body.as_object().unwrap().keys().all(|key| ["error", "hint"].contains(&key.as_str())), "{body}");
        body["error"].as_str().unwrap().to_owned()
    }
}
