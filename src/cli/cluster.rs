//! `siamese cluster`

use std::io::Write;

use clap::{Args, ValueEnum};
use serde_json::json;
use siamese::cluster::{self, Cut};
use siamese::eval::agreement;
use siamese::losses::Distance;
use siamese::text::plain;
use siamese::{Error, Result};

use super::engine::Engine;
use super::images::{self, ImagesArgs, Tally};
use super::{AdapterArg, ModelArg, Outcome, number_from_1};

/// Groups images by whom they show, without being told who there is: one line an image, name and cluster with a tab
/// between. Where the images have classes, NMI and AMI follow on stderr.
#[derive(Args)]
#[command(after_help = "\
Examples:
  siamese cluster runs/faces album/
  siamese cluster runs/faces album/ --method dbscan --distance 0.3 --min-images 4
  siamese cluster runs/cnn --set test --clusters 10")]
pub struct Cluster {
    #[command(flatten)]
    model: ModelArg,
    #[command(flatten)]
    images: ImagesArgs,
    /// How
    #[arg(long, value_enum, default_value = "agglomerative", value_name = "HOW")]
    method: Method,
    /// Images, or with agglomerative clusters on average, no farther apart than this belong together; in the loss's
    /// distance [default: 1, and 0.1 for dbscan, in squared Euclidean distance]
    #[arg(long, value_name = "DISTANCE")]
    distance: Option<f32>,
    /// How many clusters, instead of a distance; agglomerative only
    #[arg(long, value_name = "COUNT", conflicts_with = "distance", value_parser = number_from_1)]
    clusters: Option<usize>,
    /// Images that must lie within the distance for a cluster to grow; dbscan only [default: 5]
    #[arg(long, value_name = "IMAGES", value_parser = number_from_1)]
    min_images: Option<usize>,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    adapter: AdapterArg,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Method {
    /// The two nearest clusters become one, again and again
    Agglomerative,
    /// Clusters are where images lie densely; the rest belongs to none
    Dbscan,
}

impl Cluster {
    pub fn run(self) -> Outcome {
        self.images.check(None)?;
        if self.method == Method::Dbscan && self.clusters.is_some() {
            return Err(Error::config("--clusters", "dbscan finds out how many there are; give --distance").into());
        }
        if self.method == Method::Agglomerative && self.min_images.is_some() {
            return Err(Error::config("--min-images", "clusters grow only with --method dbscan").into());
        }
        if self.distance.is_some_and(|distance| !(distance.is_finite() && distance >= 0.0)) {
            return Err(Error::config("--distance", "it is no distance").into());
        }
        let model = self.model.load()?.export();
        let mut tally = Tally::new(self.json);
        let images = self.images.load(&model, &mut tally)?;
        if let Some(clusters) = self.clusters.filter(|&clusters| clusters > images.names.len()) {
            let reason = format!("{} images make no {clusters} clusters", images.names.len());
            return Err(Error::config("--clusters", reason).into());
        }
        let engine = Engine::open(&self.adapter.adapter)?;
        let embeddings = images::embed(&engine, &model, &images)?;
        let dims = embeddings.len() / images.names.len();
        let found = self.group(&embeddings, dims, model.config.loss.distance())?;
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        for (name, cluster) in images.names.iter().zip(&found) {
            if self.json {
                writeln!(out, "{}", json!({ "event": "cluster", "name": name, "cluster": cluster }))?;
            } else {
                let cluster = cluster.map_or("none".to_owned(), |cluster| cluster.to_string());
                writeln!(out, "{}\t{cluster}", plain(name))?;
            }
        }
        let count = found.iter().flatten().max().map_or(0, |last| last + 1);
        let alone = found.iter().filter(|cluster| cluster.is_none()).count();
        say!("{count} clusters; {alone} of {} images belong to none", found.len());
        if images.labelled {
            let clusters: Vec<u32> = found.iter().map(|cluster| cluster.unwrap_or(u32::MAX)).collect();
            let agreement = agreement(&images.data.labels, &clusters);
            say!("NMI {:.4}, AMI {:.4} with the classes", agreement.nmi, agreement.ami);
            if self.json {
                writeln!(out, "{}", json!({ "event": "agreement", "nmi": agreement.nmi, "ami": agreement.ami }))?;
            }
        }
        out.flush()?;
        Ok(tally.exit())
    }

    fn group(&self, embeddings: &[f32], dims: usize, distance: Distance) -> Result<Vec<Option<u32>>> {
        let unit = match distance {
            Distance::SquaredEuclidean => 1.0,
            Distance::MeanSquare => dims as f32,
        };
        let within = |default: f32| self.distance.map_or(default, |distance| distance * unit);
        Ok(match self.method {
            Method::Dbscan => cluster::dbscan(embeddings, dims, within(0.1), self.min_images.unwrap_or(5)),
            Method::Agglomerative => {
                let cut = self.clusters.map_or(Cut::Distance(within(1.0)), Cut::Clusters);
                cluster::agglomerative(embeddings, dims, cut)?.into_iter().map(Some).collect()
            }
        })
    }
}
