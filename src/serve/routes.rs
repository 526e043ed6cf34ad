//! What may be asked: a handler each, from which the description is made.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, MatchedPath, Path, Query, Request, State};
use axum::http::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde::Deserialize;
use siamese::gallery::Content;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use utoipa::openapi::OpenApi as Description;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{IntoParams, Modify, OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::{
    Always, Changing, Comparison, Embedded, Embeddings, Enrolment, Fault, Health, Identities, Identity, Problem,
    Recognised, Recognition, Threshold, WithPictures,
};
use super::device::{Done, Picture};
use super::keeper::New;
use super::metrics::{self, Route};
use super::{Service, pictures};

type Shared = State<Arc<Service>>;

/// The whole description.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "siamese serve",
        description = "Embeds pictures and says whom they show, by a trained network and a gallery of identities."
    ),
    modifiers(&Bearer)
)]
struct Described;

/// The token in the description.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, description: &mut Description) {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = description.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

/// PNG, JPEG, BMP, GIF, WebP, TIFF or PNM, known by its content
#[derive(Deserialize, ToSchema)]
#[schema(value_type = String, format = Binary)]
#[allow(dead_code, reason = "a part of the description")]
struct File(Vec<u8>);

/// Pictures in the parts `picture` of a form
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "a part of the description")]
struct Form {
    /// One or several
    #[schema(min_items = 1)]
    picture: Vec<File>,
}

/// Pictures in the parts `picture` of a form
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "a part of the description")]
struct Several {
    /// Two or more
    #[schema(min_items = 2)]
    picture: Vec<File>,
}

/// The identity in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "a part of the description")]
struct Named {
    /// The identity: no control characters, in UTF-8 with % escapes
    #[param(min_length = 1, max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    name: String,
}

/// All routes.
pub fn router(service: Service) -> Router {
    let service = Arc::new(service);
    let admitted = OpenApiRouter::new()
        .routes(routes!(recognize))
        .routes(routes!(embed))
        .routes(routes!(compare))
        .routes(routes!(enrol, remove))
        .routes(routes!(identities))
        .layer(from_fn_with_state(service.clone(), admit));
    let (router, description) = OpenApiRouter::with_openapi(Described::openapi())
        .merge(admitted)
        .routes(routes!(health))
        .routes(routes!(measured))
        .split_for_parts();
    let description = description.to_json().expect("plain data");
    let described = || async move { ([(CONTENT_TYPE, "application/json")], description) };
    router
        .route("/openapi.json", axum::routing::get(described))
        .fallback(page)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(service.clone(), measure))
        .with_state(service)
}

/// Counts a request and how long it takes; answers are not kept by anybody on the way, nor taken for what they are not.
async fn measure(State(service): Shared, request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("/", MatchedPath::as_str).to_owned();
    let mut response = next.run(request).await;
    let status = response.status().as_u16();
    service.metrics.seconds.get_or_create(&Route { route: route.clone() }).observe(begin.elapsed().as_secs_f64());
    service.metrics.requests.get_or_create(&metrics::Request { route, status }).inc();
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Lets a request begin if not too many are under way, and end when its time is up.
async fn admit(State(service): Shared, request: Request, next: Next) -> Response {
    let Ok(_place) = service.requests.try_acquire() else {
        return Fault::unavailable("more requests are under way than are taken").into_response();
    };
    service.metrics.under_way.inc();
    let answered = timeout(service.limits.time, next.run(request)).await;
    service.metrics.under_way.dec();
    let late = || Fault::unavailable("the answer took too long; what was to be enrolled may be").into_response();
    answered.unwrap_or_else(|_| late())
}

/// A file of the page, if it is one.
async fn page(State(service): Shared, method: Method, uri: Uri, headers: HeaderMap) -> Result<Response, Fault> {
    let hint = "/openapi.json has what may be asked";
    if !service.page.has(uri.path()) {
        return Err(Fault::new(StatusCode::NOT_FOUND, "there is nothing here", hint));
    }
    if method != Method::GET && method != Method::HEAD {
        return Ok(([(ALLOW, "GET, HEAD")], no_method().await).into_response());
    }
    // The gallery may be large.
    let answer = spawn_blocking(move || service.page.answer(uri.path(), &headers, || service.keeper.gallery()));
    let answer = answer.await.map_err(|_| Fault::unavailable("the service ends"))?;
    answer.map_err(|_| Fault::unavailable("the gallery cannot be sent"))
}

async fn no_method() -> Fault {
    let hint = "/openapi.json has what may be asked";
    Fault::new(StatusCode::METHOD_NOT_ALLOWED, "this cannot be done here", hint)
}

/// How pictures are recognised.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// How many of the nearest embeddings vote, of those within the threshold
    #[serde(default = "Asked::one")]
    #[param(minimum = 1, maximum = 1000, default = 1)]
    nearest: usize,
}

impl Asked {
    fn one() -> usize {
        1
    }
}

/// Say whom pictures show
///
/// Pictures that cannot be used keep no other from its answer, unless all are.
#[utoipa::path(
    post, path = "/v1/recognize", params(Asked),
    request_body(content((Form = "multipart/form-data"), (File = "image/png"), (File = "image/jpeg"),
        (File = "application/octet-stream"))),
    responses((status = 200, body = Recognition), (status = 409, description = "Nobody is enrolled", body = Problem),
        Always, WithPictures)
)]
async fn recognize(
    State(service): Shared,
    asked: Result<Query<Asked>, QueryRejection>,
    request: Request,
) -> Result<Json<Recognition>, Fault> {
    let bad =
        |error: &str| Fault::new(StatusCode::BAD_REQUEST, format!("nearest: {error}"), "it is a number from 1 to 1000");
    let Query(Asked { nearest }) = asked.map_err(|error| bad(&error.body_text()))?;
    if !(1..=1000).contains(&nearest) {
        return Err(bad(&format!("{nearest} is out of range")));
    }
    let pictures = pictures::read(request, &service.limits, &service.bodies).await?;
    let nobody = || Fault::new(StatusCode::CONFLICT, "nobody is enrolled", "enrol somebody by PUT /v1/identities/NAME");
    let outcomes = some(service.decoders.embed(&pictures, Some(nearest)).await?)?;
    let pictures = pictures.into_iter().zip(outcomes).map(|(Picture { name, .. }, outcome)| match outcome {
        Ok(Done { answer, .. }) => {
            Ok(Recognised { name, answer: Some(answer.ok_or_else(nobody)?.into()), error: None })
        }
        Err(error) => Ok(Recognised { name, answer: None, error: Some(error) }),
    });
    Ok(Json(Recognition { pictures: pictures.collect::<Result<_, Fault>>()? }))
}

/// Embed pictures
///
/// Pictures that cannot be used keep no other from its answer, unless all are.
#[utoipa::path(
    post, path = "/v1/embed",
    request_body(content((Form = "multipart/form-data"), (File = "image/png"), (File = "image/jpeg"),
        (File = "application/octet-stream"))),
    responses((status = 200, body = Embeddings), Always, WithPictures)
)]
async fn embed(State(service): Shared, request: Request) -> Result<Json<Embeddings>, Fault> {
    let pictures = pictures::read(request, &service.limits, &service.bodies).await?;
    let outcomes = some(service.decoders.embed(&pictures, None).await?)?;
    let pictures = pictures.into_iter().zip(outcomes).map(|(Picture { name, .. }, outcome)| match outcome {
        Ok(done) => Embedded { name, embedding: Some(done.embedding), error: None },
        Err(error) => Embedded { name, embedding: None, error: Some(error) },
    });
    Ok(Json(Embeddings { model: service.model.clone(), pictures: pictures.collect() }))
}

/// Say how far pictures are from each other
///
/// All of them must be usable.
#[utoipa::path(
    post, path = "/v1/compare",
    request_body(content((Several = "multipart/form-data"))),
    responses((status = 200, body = Comparison), Always, WithPictures)
)]
async fn compare(State(service): Shared, request: Request) -> Result<Json<Comparison>, Fault> {
    let pictures = pictures::read(request, &service.limits, &service.bodies).await?;
    if pictures.len() < 2 {
        let hint = "send several as parts `picture` of multipart/form-data";
        return Err(Fault::new(StatusCode::BAD_REQUEST, "one picture is compared with none", hint));
    }
    let all = every(service.decoders.embed(&pictures, None).await?)?;
    let distance = |a: &Done, b: &Done| service.distance.between(&a.embedding, &b.embedding);
    let distances = all.iter().map(|a| all.iter().map(|b| distance(a, b)).collect()).collect();
    Ok(Json(Comparison { pictures: pictures.into_iter().map(|picture| picture.name).collect(), distances }))
}

/// Enrol pictures of an identity
///
/// All or none of them. They are on the disk when this is answered; what is sent again is known and changes nothing.
#[utoipa::path(
    put, path = "/v1/identities/{name}", security(("bearer" = [])),
    params(Named),
    request_body(content((Form = "multipart/form-data"), (File = "image/png"), (File = "image/jpeg"),
        (File = "application/octet-stream"))),
    responses(
        (status = 200, description = "The identity was there", body = Enrolment),
        (status = 201, description = "The identity is new", body = Enrolment),
        (status = 409, description = "A picture is enrolled as another identity's", body = Problem),
        Always, Changing, WithPictures
    )
)]
async fn enrol(
    State(service): Shared,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<(StatusCode, Json<Enrolment>), Fault> {
    may_change(&service, request.headers())?;
    let identity = identity(name)?;
    let pictures = pictures::read(request, &service.limits, &service.bodies).await?;
    let all = every(service.decoders.embed(&pictures, None).await?)?;
    let new = move || {
        let new = pictures.into_iter().zip(all).map(|(Picture { name, bytes, .. }, Done { embedding, .. })| {
            let content = Content::of(&bytes);
            New { name, content, embedding }
        });
        new.collect()
    };
    // Files may be large.
    let new = spawn_blocking(new).await.map_err(|_| Fault::unavailable("the service ends"))?;
    let enrolment = service.keeper.enrol(identity, new).await?;
    Ok((if enrolment.is_new { StatusCode::CREATED } else { StatusCode::OK }, Json(enrolment)))
}

/// Take an identity out
#[utoipa::path(
    delete, path = "/v1/identities/{name}", security(("bearer" = [])),
    params(Named),
    responses(
        (status = 204, description = "It is taken out"),
        (status = 404, description = "There is none of this name", body = Problem),
        Always, Changing
    )
)]
async fn remove(
    State(service): Shared,
    headers: HeaderMap,
    name: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Fault> {
    may_change(&service, &headers)?;
    service.keeper.remove(identity(name)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List who is enrolled
#[utoipa::path(get, path = "/v1/identities", responses((status = 200, body = Identities), Always))]
async fn identities(State(service): Shared) -> Json<Identities> {
    let gallery = service.keeper.gallery();
    let counted = gallery.counted().into_iter();
    let identities = counted.map(|(name, embeddings, images)| Identity { name: name.to_owned(), embeddings, images });
    let threshold = gallery.threshold.map(|threshold| Threshold { distance: threshold.distance, far: threshold.far });
    Json(Identities { identities: identities.collect(), threshold })
}

/// Say that the service is there
#[utoipa::path(get, path = "/healthz", responses((status = 200, body = Health)))]
async fn health(State(service): Shared) -> Json<Health> {
    let identities = service.keeper.gallery().identities().len();
    Json(Health { status: "ok", model: service.model.clone(), identities })
}

/// What the service has counted, for Prometheus
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String, content_type = "text/plain")))]
async fn measured(State(service): Shared) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], service.metrics.text())
}

/// Pictures of which one can be used at least.
fn some(outcomes: Vec<Result<Done, Problem>>) -> Result<Vec<Result<Done, Problem>>, Fault> {
    if outcomes.iter().any(Result::is_ok) { Ok(outcomes) } else { every(outcomes).map(|_| Vec::new()) }
}

/// Pictures all of which can be used.
fn every(outcomes: Vec<Result<Done, Problem>>) -> Result<Vec<Done>, Fault> {
    outcomes.into_iter().collect::<Result<_, _>>().map_err(Fault::unusable)
}

/// Says whether whoever asks may change the gallery.
fn may_change(service: &Service, headers: &HeaderMap) -> Result<(), Fault> {
    let Some(token) = &service.token else {
        let hint = "start it with --token-file, or with the token in SIAMESE_TOKEN";
        return Err(Fault::new(StatusCode::FORBIDDEN, "the gallery is read-only: the service has no token", hint));
    };
    let given = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.as_bytes().split_at_checked("Bearer ".len())?;
        scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
    });
    match given {
        Some(given) if token.is(given) => Ok(()),
        given => {
            let error =
                if given.is_some() { "the token is another one" } else { "changing the gallery takes the token" };
            let hint = "send it as the header Authorization: Bearer TOKEN";
            Err(Fault::new(StatusCode::UNAUTHORIZED, error, hint))
        }
    }
}

/// The name of an identity in a path.
fn identity(name: Result<Path<String>, PathRejection>) -> Result<String, Fault> {
    let bad = |error: &str| {
        let hint = "a name has 1 to 200 characters, none of which is a control character, in UTF-8 with % escapes";
        Fault::new(StatusCode::BAD_REQUEST, error, hint)
    };
    let Path(name) = name.map_err(|error| bad(&error.body_text()))?;
    let is_sound = (1..=200).contains(&name.chars().count()) && !name.contains(char::is_control);
    if is_sound { Ok(name) } else { Err(bad("the name of the identity cannot be used")) }
}
