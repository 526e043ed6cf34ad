//! What the service answers, as its description has it.

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use siamese::gallery;
use utoipa::{IntoResponses, ToSchema};

/// What went wrong, and what to do about it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// What went wrong.
    pub error: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub hint: Option<String>,
}

impl Problem {
    /// Of an error of the library.
    pub fn of(error: &siamese::Error) -> Problem {
        Problem { error: error.to_string(), hint: error.hint() }
    }
}

/// A request that is not done.
#[derive(Clone, Debug)]
pub struct Fault {
    status: StatusCode,
    problem: Problem,
}

impl Fault {
    /// With what went wrong, and what to do about it.
    pub fn new(status: StatusCode, error: impl Into<String>, hint: &str) -> Fault {
        Fault { status, problem: Problem { error: error.into(), hint: Some(hint.to_owned()) } }
    }

    /// For what is wrong with a picture.
    pub fn unusable(problem: Problem) -> Fault {
        Fault { status: StatusCode::UNPROCESSABLE_ENTITY, problem }
    }

    /// For what may be asked again.
    pub fn unavailable(error: &str) -> Fault {
        Fault::new(StatusCode::SERVICE_UNAVAILABLE, error, "ask again a little later")
    }
}

/// Seconds after which whoever was sent away may ask again.
const RETRY: HeaderValue = HeaderValue::from_static("1");

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let Fault { status, problem } = self;
        let mut response = (status, Json(problem)).into_response();
        let header = match status {
            StatusCode::SERVICE_UNAVAILABLE => Some((RETRY_AFTER, RETRY)),
            StatusCode::UNAUTHORIZED => Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            _ => None,
        };
        response.headers_mut().extend(header);
        response
    }
}

/// What every request may be answered.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "a part of the description")]
pub enum Always {
    /// The request cannot be understood
    #[response(status = 400)]
    Malformed(Problem),
    /// More requests are under way than are taken, the time is up, or the gallery cannot be written now
    #[response(status = 503, headers(("Retry-After" = u32, description = "Seconds")))]
    Unavailable(Problem),
}

/// What a request with pictures may be answered.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "a part of the description")]
pub enum WithPictures {
    /// The body did not come in time
    #[response(status = 408)]
    Late(Problem),
    /// The body has too many bytes or pictures
    #[response(status = 413)]
    TooLarge(Problem),
    /// The body is neither a picture nor a form
    #[response(status = 415)]
    Unsupported(Problem),
    /// No picture can be used
    #[response(status = 422)]
    Unusable(Problem),
}

/// What a request that changes the gallery may be answered.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "a part of the description")]
pub enum Changing {
    /// The token is missing, or another one
    #[response(status = 401, headers(("WWW-Authenticate" = String)))]
    Unauthorised(Problem),
    /// The service has no token: nobody changes the gallery
    #[response(status = 403)]
    ReadOnly(Problem),
}

/// Whom a picture shows.
#[derive(Serialize, ToSchema)]
pub struct Answer {
    /// The identity; null: unknown, all are farther than the threshold
    pub identity: Option<String>,
    /// The identity of the nearest embedding, accepted or not
    pub nearest: String,
    /// Distance of the nearest embedding of `identity`, of an unknown picture of `nearest`, in the distance that the
    /// model was trained by
    pub distance: f32,
    /// How much farther the nearest embedding of any other identity is: below 0 where a vote has overruled the nearest.
    /// Null where there is no other
    pub margin: Option<f32>,
}

impl From<gallery::Answer> for Answer {
    fn from(answer: gallery::Answer) -> Answer {
        let gallery::Answer { identity, nearest, distance, margin } = answer;
        Answer { identity, nearest, distance, margin }
    }
}

/// One picture of several: `answer`, or `error` where it cannot be used.
#[derive(Serialize, ToSchema)]
pub struct Recognised {
    /// The name of its file, or its number in the request
    pub name: String,
    /// Whom it shows
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub answer: Option<Answer>,
    /// Why it cannot be used
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<Problem>,
}

/// Whom the pictures show.
#[derive(Serialize, ToSchema)]
pub struct Recognition {
    /// In the order of the request
    pub pictures: Vec<Recognised>,
}

/// One picture of several: `embedding`, or `error` where it cannot be used.
#[derive(Serialize, ToSchema)]
pub struct Embedded {
    /// The name of its file, or its number in the request
    pub name: String,
    /// Its embedding
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub embedding: Option<Vec<f32>>,
    /// Why it cannot be used
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<Problem>,
}

/// The embeddings of pictures.
#[derive(Serialize, ToSchema)]
pub struct Embeddings {
    /// The fingerprint of the model: embeddings of another one mean nothing beside these
    pub model: String,
    /// In the order of the request
    pub pictures: Vec<Embedded>,
}

/// How far pictures are from each other.
#[derive(Serialize, ToSchema)]
pub struct Comparison {
    /// The names of their files, or their numbers in the request
    pub pictures: Vec<String>,
    /// A row and a column for each picture, in the distance that the model was trained by
    pub distances: Vec<Vec<f32>>,
}

/// What became of an enrolment. It is on the disk.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Enrolment {
    /// The identity as it is kept, in the composed form of Unicode
    pub identity: String,
    /// Pictures that are enrolled now
    pub enrolled: usize,
    /// Pictures that were enrolled before
    pub known: usize,
    /// Whether the identity is new.
    #[serde(skip)]
    #[schema(ignore)]
    pub is_new: bool,
}

/// Somebody who is enrolled.
#[derive(Serialize, ToSchema)]
pub struct Identity {
    /// The name
    pub name: String,
    /// Embeddings that are kept
    pub embeddings: usize,
    /// Pictures that they come from
    pub images: u32,
}

/// How far a picture may be from an identity.
#[derive(Serialize, ToSchema)]
pub struct Threshold {
    /// Accepted are pictures at this distance or nearer
    pub distance: f32,
    /// The false accept rate that it was calibrated for; null: it was given
    pub far: Option<f64>,
}

/// Who is enrolled.
#[derive(Serialize, ToSchema)]
pub struct Identities {
    /// In the order of their enrolment
    pub identities: Vec<Identity>,
    /// Null: nobody is unknown
    pub threshold: Option<Threshold>,
}

/// That the service is there.
#[derive(Serialize, ToSchema)]
pub struct Health {
    /// `ok`
    pub status: &'static str,
    /// The fingerprint of the model
    pub model: String,
    /// How many are enrolled
    pub identities: usize,
}
