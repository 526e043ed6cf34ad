//! The page of the network, from memory, with the gallery as it is now.

use std::collections::BTreeMap;
use std::path::Path;

use axum::body::Bytes;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use siamese::Result;
use siamese::checkpoint::{Checkpoint, Precision};
use siamese::gallery::Gallery;
use siamese::text::hex;
use siamese::web::{self, Options};

/// A file of the page.
struct File {
    bytes: Bytes,
    /// What it is known by.
    tag: HeaderValue,
}

/// Its files by their paths; none where a browser cannot run the network.
pub struct Page(BTreeMap<String, File>);

/// What is asked for where nothing is named.
const INDEX: &str = "index.html";

/// Nothing is loaded from elsewhere, nor shown within another page. Compiling shaders needs no leave; pictures and the
/// camera are blobs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' blob: \
                      data:; media-src 'self' blob:; connect-src 'self'; worker-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

impl Page {
    /// The page of a model.
    pub fn new(model: &Checkpoint, gallery: &Gallery) -> Page {
        let options = Options { precision: Precision::F32, training: false };
        let files = web::files(model, Some(gallery), options).unwrap_or_else(|error| {
            say!("warning: there is no page at /: {error}");
            BTreeMap::new()
        });
        let file = |bytes: Vec<u8>| {
            let tag = format!("\"{}\"", &hex(Sha256::digest(&bytes))[..32]);
            File { bytes: bytes.into(), tag: tag.try_into().expect("digits in quotes") }
        };
        Page(files.into_iter().map(|(path, bytes)| (path, file(bytes))).collect())
    }

    /// Whether a path is the page's, which begins with `/`.
    pub fn has(&self, path: &str) -> bool {
        self.0.contains_key(name(path))
    }

    /// The file at a path that it has. The gallery is `now` what it is.
    ///
    /// # Errors
    /// As [`Gallery::to_bytes`].
    pub fn answer(
        &self,
        path: &str,
        asked: &HeaderMap,
        now: impl FnOnce() -> std::sync::Arc<Gallery>,
    ) -> Result<Response> {
        let name = name(path);
        let kind = match Path::new(name).extension().and_then(|ending| ending.to_str()) {
            Some("html") => "text/html; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("json") => "application/json",
            Some("wgsl") => "text/plain; charset=utf-8",
            _ => "application/octet-stream",
        };
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static(kind)),
            (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
            (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            // It may be kept, and is asked for again.
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        ];
        if name == web::GALLERY {
            return Ok((headers, now().without_paths().to_bytes(name.as_ref())?).into_response());
        }
        let File { bytes, tag } = &self.0[name];
        if asked.get(IF_NONE_MATCH) == Some(tag) {
            return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag.clone())]).into_response());
        }
        Ok((headers, [(ETAG, tag.clone())], bytes.clone()).into_response())
    }
}

/// The name that a file has in the folder.
fn name(path: &str) -> &str {
    match path.trim_start_matches('/') {
        "" => INDEX,
        name => name,
    }
}
