//! Files of embeddings, read back with other packages than the ones that wrote them where there are any.

use std::fs::{self, File};
use std::path::Path;

use half::f16;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use siamese::Error;
use siamese::bulk::Shard;
use siamese::data::Dataset;
use siamese::data::store::Images;
use siamese::vectors::{Destination, Precision, Vectors};

const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::F16, Precision::I8];

/// Rows on a circle, in two classes.
fn vectors(rows: usize) -> Vectors {
    let angle = |row: usize| row as f32 * 0.37;
    Vectors {
        values: (0..rows).flat_map(|row| [angle(row).sin(), angle(row).cos(), 0.0]).collect(),
        dims: 3,
        names: (0..rows).map(|row| format!("picture, {row}")).collect(),
        classes: (0..rows).map(|row| ["one", "two"][row % 2].to_owned()).collect(),
        model: "0123456789abcdef".to_owned(),
    }
}

/// Writes them where no images are shown.
fn write(vectors: &Vectors, path: &Path, precision: Precision) {
    let (name, images, labels, label_names) = (String::new(), Images::new(Vec::new(), 1), Vec::new(), Vec::new());
    let none = Dataset { name, images, labels, label_names, height: 1, width: 1, channels: 1 };
    vectors.write(Destination::prepare(path).unwrap(), precision, &none).unwrap();
}

/// `value` as the bytes of an .npy behind its head.
fn npy_body(path: &Path) -> (String, Vec<u8>) {
    let bytes = fs::read(path).unwrap();
    let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    (String::from_utf8(bytes[10..10 + length].to_vec()).unwrap(), bytes[10 + length..].to_vec())
}

#[test]
fn npy_holds_the_values() {
    let folder = tempfile::tempdir().unwrap();
    let (path, vectors) = (folder.path().join("e.npy"), vectors(7));
    for (precision, kind) in PRECISIONS.into_iter().zip(["'<f4'", "'<f2'", "'|i1'"]) {
        write(&vectors, &path, precision);
        let (head, body) = npy_body(&path);
        assert!(head.contains(kind) && head.contains("(7, 3"), "{head}");
        let sidecar: serde_json::Value =
            serde_json::from_slice(&fs::read(folder.path().join("e.npy.json")).unwrap()).unwrap();
        let scale = sidecar["scale"].as_f64().unwrap() as f32;
        let values: Vec<f32> = match precision {
            Precision::F32 => body.as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect(),
            Precision::F16 => body.as_chunks().0.iter().map(|&word| f16::from_le_bytes(word).to_f32()).collect(),
            Precision::I8 => body.iter().map(|&byte| f32::from(byte as i8) * scale).collect(),
        };
        assert_eq!(values, vectors.rounded(precision));
        assert_eq!((&sidecar["names"][2], &sidecar["classes"][2]), (&"picture, 2".into(), &"one".into()));
    }
}

#[test]
fn rounding_is_bounded_and_measured() {
    let vectors = vectors(200);
    for (precision, bound) in PRECISIONS.into_iter().zip([0.0, 0.0005, 0.5 / 127.0 + 1e-6]) {
        let loss = vectors.loss(precision);
        assert!(loss.max_error <= bound && (loss.max_error > 0.0) == (bound > 0.0), "{loss:?}");
        let [before, after] = loss.map_at_r.unwrap();
        assert!((before - after).abs() < 0.1 && before > 0.0, "{loss:?}");
    }
    let unknown = Vectors { classes: Vec::new(), ..vectors };
    assert!(unknown.loss(Precision::I8).map_at_r.is_none());
}

#[test]
fn csv_quotes_and_parquet_nests() {
    let folder = tempfile::tempdir().unwrap();
    let vectors = vectors(10_003);
    let path = folder.path().join("e.csv");
    write(&vectors, &path, Precision::F32);
    let mut table = csv::Reader::from_path(&path).unwrap();
    assert_eq!(table.headers().unwrap(), &["name", "class", "e0", "e1", "e2"][..]);
    for (row, record) in table.records().map(Result::unwrap).enumerate() {
        assert_eq!((&record[0], &record[1]), (vectors.names[row].as_str(), vectors.classes[row].as_str()));
        assert_eq!(record[3].parse::<f32>().unwrap(), vectors.values[3 * row + 1], "exact to the last bit");
    }

    for precision in PRECISIONS {
        let path = folder.path().join("e.parquet");
        write(&vectors, &path, precision);
        let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        let metadata = reader.metadata();
        assert_eq!((metadata.num_row_groups(), metadata.file_metadata().num_rows()), (2, 10_003), "bounded groups");
        let rounded = vectors.rounded(precision);
        for (row, record) in reader.get_row_iter(None).unwrap().map(Result::unwrap).enumerate() {
            assert_eq!(
                (record.get_string(0).unwrap(), record.get_string(1).unwrap()),
                (&vectors.names[row], &vectors.classes[row])
            );
            let list = record.get_list(2).unwrap().elements();
            let values: Vec<f32> = list
                .iter()
                .map(|field| match field {
                    parquet::record::Field::Float(value) => *value,
                    parquet::record::Field::Float16(value) => value.to_f32(),
                    parquet::record::Field::Byte(value) => f32::from(*value) * record.get_float(3).unwrap(),
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(values, rounded[3 * row..3 * row + 3]);
        }
    }
}

#[test]
fn the_projector_has_its_sprite() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("projector");
    let mut vectors = vectors(5);
    vectors.names[1] = "a \"tab\"\tand\nlines".to_owned();
    let images = Dataset {
        name: "five".to_owned(),
        images: Images::new((0..5).flat_map(|row| [row * 50; 6]).collect(), 6),
        labels: vec![0; 5],
        label_names: Vec::new(),
        height: 2,
        width: 3,
        channels: 1,
    };
    vectors.write(Destination::prepare(&out).unwrap(), Precision::F32, &images).unwrap();
    let sprite = image::open(out.join("sprite.png")).unwrap().to_rgb8();
    assert_eq!(sprite.dimensions(), (9, 9), "five images in a square of nine, each 3 x 3");
    assert_eq!((sprite.get_pixel(1, 4).0, sprite.get_pixel(8, 8).0), ([150; 3], [0; 3]));
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    assert_eq!(read("metadata.tsv").lines().nth(1), Some("picture, 0\tone"));
    assert_eq!(read("metadata.tsv").lines().nth(2), Some(r#"a "tab"\tand\nlines	two"#), "one line, no quotes added");
    assert_eq!(read("metadata.tsv").lines().count(), 6);
    assert_eq!(read("vectors.tsv").lines().count(), 5);
    assert!(read("projector_config.pbtxt").contains("single_image_dim: 3"));
}

#[test]
fn formats_shards_and_faults() {
    assert!(Destination::prepare(Path::new("a.txt")).unwrap_err().to_string().contains(".parquet"));
    let all: Vec<usize> = (1..=3).flat_map(|number| Shard { number, of: 3 }.rows(10)).collect();
    assert_eq!(all, (0..10).collect::<Vec<_>>(), "every row is in one part");
    assert_eq!("2/3".parse(), Ok(Shard { number: 2, of: 3 }));
    for wrong in ["0/3", "4/3", "1", "a/b", ""] {
        assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
    }
    let nowhere = Path::new("/no such folder/e.npy");
    let error = Destination::prepare(nowhere).unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("no such folder"), "{error}");
}
