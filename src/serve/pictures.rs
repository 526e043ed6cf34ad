//! The pictures of a request: a body that is one, or a form of several.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Limits;
use super::answer::Fault;
use super::device::Picture;

/// What the parts of a form are called that are pictures.
const PART: &str = "picture";

/// What a body is.
enum Kind {
    Picture,
    Form,
}

/// The pictures of a request; `bodies` has the bytes that all bodies may have.
///
/// # Errors
/// [`Fault`] for a body of another kind, one that is too large, comes too slowly or is broken, and one with no picture
/// or too many.
pub async fn read(request: Request, limits: &Limits, bodies: &Arc<Semaphore>) -> Result<Vec<Picture>, Fault> {
    let (parts, body) = request.into_parts();
    let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let kind = kind(header(CONTENT_TYPE).unwrap_or_default())?;
    let length = header(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if length.is_some_and(|length| length > limits.body as u64) {
        return Err(too_large(limits));
    }
    let collected = collect(body, length.unwrap_or(0) as usize, limits, bodies);
    let Ok(collected) = timeout(limits.part_time(), collected).await else {
        let error = format!("the body did not come within {} s", limits.part_time().as_secs_f32());
        return Err(Fault::new(StatusCode::REQUEST_TIMEOUT, error, "send fewer or smaller pictures at once"));
    };
    let (bytes, held) = collected?;
    let held = Arc::new(held);
    let pictures = match kind {
        Kind::Picture => vec![Picture { name: named(1), bytes, _held: held }],
        Kind::Form => {
            let request = Request::from_parts(parts, Body::from(bytes));
            form(request, &held, limits).await?
        }
    };
    if pictures.is_empty() {
        return Err(malformed("the form has no picture"));
    }
    Ok(pictures)
}

/// What a picture is called whose file has no name.
fn named(number: usize) -> String {
    format!("picture {number}")
}

fn kind(content_type: &str) -> Result<Kind, Fault> {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "multipart/form-data" {
        Ok(Kind::Form)
    } else if essence == "application/octet-stream" || essence.starts_with("image/") {
        Ok(Kind::Picture)
    } else {
        let error = match essence.as_str() {
            "" => "the body has no Content-Type".to_owned(),
            essence => format!("a body of {essence} is no picture"),
        };
        let hint = "send a picture as image/png or the like, or several as parts `picture` of multipart/form-data";
        Err(Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error, hint))
    }
}

fn too_large(limits: &Limits) -> Fault {
    let error = format!("the body has more than {} bytes", limits.body);
    Fault::new(StatusCode::PAYLOAD_TOO_LARGE, error, "send fewer or smaller pictures at once")
}

fn malformed(error: &str) -> Fault {
    let hint = "pictures are parts called `picture`: curl -F picture=@one.jpg -F picture=@two.jpg";
    Fault::new(StatusCode::BAD_REQUEST, error, hint)
}

/// All bytes of a body, and what they take of the bytes of all.
async fn collect(
    mut body: Body,
    length: usize,
    limits: &Limits,
    bodies: &Arc<Semaphore>,
) -> Result<(Bytes, OwnedSemaphorePermit), Fault> {
    let take = |bytes: usize| {
        let permit = bodies.clone().try_acquire_many_owned(bytes as u32);
        permit
            .map_err(|_| Fault::unavailable("the bodies of other requests take all the memory that there is for them"))
    };
    let mut held = take(0)?;
    let mut bytes = Vec::with_capacity(length);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| malformed("the body ends before its end"))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > limits.body {
            return Err(too_large(limits));
        }
        held.merge(take(data.len())?);
        bytes.extend_from_slice(&data);
    }
    Ok((bytes.into(), held))
}

/// The pictures of a form.
async fn form(request: Request, held: &Arc<OwnedSemaphorePermit>, limits: &Limits) -> Result<Vec<Picture>, Fault> {
    let broken = |error: &dyn std::fmt::Display| malformed(&format!("the form is broken: {error}"));
    let mut form = Multipart::from_request(request, &()).await.map_err(|error| broken(&error.body_text()))?;
    let mut pictures = Vec::new();
    while let Some(part) = form.next_field().await.map_err(|error| broken(&error.body_text()))? {
        match part.name() {
            Some(PART) => {}
            Some(name) => return Err(malformed(&format!("the form has a part `{name}`, which means nothing"))),
            None => return Err(malformed("a part of the form has no name")),
        }
        if pictures.len() == limits.pictures {
            let error = format!("the form has more than {} pictures", limits.pictures);
            return Err(Fault::new(StatusCode::PAYLOAD_TOO_LARGE, error, "send fewer at once"));
        }
        let name = part.file_name().filter(|name| !name.is_empty()).map(str::to_owned);
        let name = name.unwrap_or_else(|| named(pictures.len() + 1));
        let bytes = part.bytes().await.map_err(|error| broken(&error.body_text()))?;
        pictures.push(Picture { name, bytes, _held: held.clone() });
    }
    Ok(pictures)
}
