//! `siamese serve`

use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;
use siamese::plan::Plan;
use siamese::run::Runner;
use siamese::{Error, Result};

use super::engine::{Engine, Job};
use super::{AdapterArg, Failure, ModelArg, Outcome, number_from_1};
use crate::serve::{self, Limits, Setup, Token};

/// Environment variable that the token may be in.
const TOKEN: &str = "SIAMESE_TOKEN";

/// Serves a model and a gallery over HTTP: recognises, embeds, compares and enrols pictures; and the page of the
/// network, which does so in the browser.
///
/// Ctrl-C or a request to terminate lets it answer what has been asked, and end. What others do to the gallery
/// meanwhile is seen within seconds. `/openapi.json` describes what may be asked.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese serve runs/faces --gallery faces.gallery --token-file token
  curl --data-binary @who.jpg -H 'Content-Type: image/jpeg' http://127.0.0.1:8080/v1/recognize
  curl -X PUT -H \"Authorization: Bearer $(cat token)\" -F picture=@anna.jpg http://127.0.0.1:8080/v1/identities/anna")]
pub struct Serve {
    #[command(flatten)]
    model: ModelArg,
    /// A file that `enroll` makes, or that is made when somebody is enrolled; or a gallery in a database,
    /// postgres://user@host/db?gallery=NAME, whose password is in PGPASSWORD
    #[arg(long, value_name = "FILE|URL")]
    gallery: OsString,
    /// Address and port to listen at, of this machine alone unless said otherwise; port 0 is any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: String,
    /// File with the token that those must show who change the gallery; or it is in the environment variable
    /// SIAMESE_TOKEN [default: nobody changes it]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Bytes of a request, at most
    #[arg(long, value_name = "SIZE", default_value = "32MB")]
    max_body: ByteSize,
    /// Pixels of a picture, at most
    #[arg(long, value_name = "PIXELS", default_value_t = 50_000_000)]
    max_pixels: u64,
    /// Pictures of a request, at most
    #[arg(long, value_name = "PICTURES", default_value = "64", value_parser = number_from_1)]
    max_pictures: usize,
    /// Requests at once, at most; more are sent away to ask again
    #[arg(long, value_name = "REQUESTS", default_value = "256", value_parser = number_from_1)]
    max_requests: usize,
    /// Seconds that a request may take, its body a third of them
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    #[command(flatten)]
    adapter: AdapterArg,
}

/// Bytes of a request that may be asked for, at most.
const MOST_BODY: u64 = 512 << 20;

impl Serve {
    pub fn run(self) -> Outcome {
        let body = self.max_body.as_u64();
        if body == 0 || body > MOST_BODY {
            let reason = format!("{} is not between 1 byte and {}", self.max_body, super::size(MOST_BODY));
            return Err(Error::config("--max-body", reason).into());
        }
        let token = self.token()?;
        let place = super::place(&self.gallery)?;
        let model = self.model.load()?.export();
        let listener = TcpListener::bind(&self.listen)
            .map_err(|error| Error::config("--listen", format!("cannot listen at {}: {error}", self.listen)))?;
        let limits = Limits {
            body: body as usize,
            pixels: self.max_pixels,
            pictures: self.max_pictures,
            requests: self.max_requests,
            time: Duration::from_secs(self.timeout),
        };
        let engine = Engine::open(&self.adapter.adapter)?;
        say!("{}", engine.title());
        engine.run(Service(Setup { model, place, token, limits, listener }))
    }

    fn token(&self) -> Result<Option<Token>> {
        if let Some(file) = &self.token_file {
            let text = fs::read_to_string(file).map_err(Error::io("read", file))?;
            return Token::new("--token-file", text.trim()).map(Some);
        }
        match std::env::var(TOKEN) {
            Ok(text) => Token::new(TOKEN, &text).map(Some),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(error) => Err(Error::config(TOKEN, error.to_string())),
        }
    }
}

struct Service(Setup);

impl Job for Service {
    type Output = ExitCode;

    fn run<R: Runner>(self, make: impl Fn(Arc<Plan>) -> Result<R>) -> Result<ExitCode, Failure> {
        serve::run(self.0, make)
    }
}
