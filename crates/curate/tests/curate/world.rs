//! A made-up data folder, a run over it, and what came out.

use gmai_curate::{Job, Outcome, Summary, run};
use gmai_schema::{Conversation, Rgb8, Split};
use gmai_shard::{EncodedImage, Quarantined, Reader, Sample, SourceSummary};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A folder with `data/` and `out/`.
pub struct World {
    pub folder: PathBuf,
}

/// A finished run.
pub struct Made {
    pub summary: Summary,
    /// All rows; the bytes of their pictures are taken out.
    pub samples: Vec<Sample>,
    /// Every picture once, by its key.
    pub pictures: BTreeMap<String, EncodedImage>,
    pub quarantined: Vec<Quarantined>,
}

impl World {
    /// An empty one of this test.
    pub fn new(name: &str) -> World {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("curate").join(name);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("data")).unwrap();
        World { folder }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        let path = self.folder.join("data").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    pub fn write(&self, file: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(file), content).unwrap();
    }

    /// A picture that depends on `seed` and resembles no other.
    pub fn picture(&self, file: &str, seed: u32, width: u32, height: u32) {
        gmai_testkit::write_rgb_png(&self.path(file), &picture(seed, width, height)).unwrap();
    }

    /// A mask that is white in the given boxes (left, top, right, bottom).
    pub fn mask(&self, file: &str, [width, height]: [u32; 2], boxes: &[[u32; 4]]) {
        let inside = |x: u32, y: u32| boxes.iter().any(|[l, t, r, b]| (*l..*r).contains(&x) && (*t..*b).contains(&y));
        let pixels: Vec<u8> = (0..width * height).map(|i| if inside(i % width, i / width) { 255 } else { 0 }).collect();
        gmai_testkit::write_grey_png(&self.path(file), width, height, &pixels).unwrap();
    }

    pub fn job(&self, sources: &str) -> Job {
        Job {
            config_path: self.folder.join("config.toml"),
            config_text: format!("[dataset]\nname = \"made-up\"\nseed = 3\n{sources}"),
            variables: BTreeMap::from([("DATA".to_string(), self.folder.join("data").display().to_string())]),
            out: self.folder.join("out"),
            decoder: gmai_imaging::Decoder::default(),
        }
    }

    /// Runs a config; `sources` follows `[dataset]`.
    pub fn curate(&self, sources: &str) -> Made {
        let summary = run(&self.job(sources), &mut |_| {}).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(summary.outcome, Outcome::Made);
        Made::read(&self.folder.join("out"), summary)
    }

    /// The message of a run that must fail.
    pub fn refused(&self, sources: &str) -> String {
        run(&self.job(sources), &mut |_| {}).map(|_| ()).unwrap_err().to_string()
    }
}

impl Made {
    pub fn read(out: &Path, summary: Summary) -> Made {
        let reader = Reader::open(out).unwrap();
        reader.verify().unwrap();
        let mut made = Made {
            summary,
            samples: Vec::new(),
            pictures: BTreeMap::new(),
            quarantined: reader.quarantined().unwrap(),
        };
        for sample in Split::ALL.into_iter().flat_map(|split| reader.samples(split)) {
            let mut sample = sample.unwrap();
            for image in &mut sample.images {
                let bytes = std::mem::take(&mut image.bytes);
                let path = image.path.clone();
                made.pictures.entry(path.clone()).or_insert(EncodedImage { bytes, path });
            }
            made.samples.push(sample);
        }
        made.check_sums();
        made
    }

    /// Everything adds up: tallies, quarantine lines, rows, splits.
    fn check_sums(&self) {
        let manifest = &self.summary.manifest;
        let mut lines = 0;
        for source in &manifest.sources {
            assert!(source.images.adds_up() && source.annotations.adds_up(), "{source:?}");
            lines += source.images.quarantined + source.annotations.quarantined;
            let name = &source.facts.name;
            let records: BTreeSet<_> = self.of(name).map(|conversation| &conversation.record).collect();
            assert_eq!(records.len() as u64, source.images.used, "{name}: used images are records");
            assert_eq!(self.of(name).count() as u64, source.pairs);
        }
        assert_eq!((lines, lines), (manifest.num_quarantined, self.quarantined.len() as u64));
        let ids: BTreeSet<_> = self.samples.iter().map(|sample| &sample.conversation.id).collect();
        assert_eq!(ids.len(), self.samples.len(), "ids are unique");
        let mut sides: BTreeMap<&str, Split> = BTreeMap::new();
        for sample in &self.samples {
            let conversation = &sample.conversation;
            let side = sides.entry(&conversation.patient).or_insert(conversation.split);
            assert_eq!(*side, conversation.split, "patient {} on one side", conversation.patient);
            let markers: usize = conversation.turns.iter().map(|turn| turn.value.matches("<image>").count()).sum();
            assert_eq!(markers, sample.images.len());
        }
        for entry in &self.quarantined {
            let texts = [&entry.file, &entry.field, &entry.reason, &entry.remedy];
            assert!(texts.iter().all(|text| !text.is_empty()), "{entry:?}");
        }
    }

    pub fn of<'a>(&'a self, source: &'a str) -> impl Iterator<Item = &'a Conversation> {
        self.samples.iter().map(|sample| &sample.conversation).filter(move |conversation| conversation.source == source)
    }

    /// The only source.
    pub fn source(&self) -> &SourceSummary {
        &self.summary.manifest.sources[0]
    }

    /// Files that gave rows.
    pub fn files(&self) -> BTreeSet<&str> {
        self.samples.iter().map(|sample| sample.conversation.provenance.file.as_str()).collect()
    }

    /// The quarantine line of a file; there must be exactly one.
    pub fn line(&self, file: &str) -> &Quarantined {
        let lines: Vec<_> = self.quarantined.iter().filter(|entry| entry.file == file).collect();
        assert_eq!(lines.len(), 1, "{file}: {:?}", self.quarantined);
        lines[0]
    }

    /// The picture of a row.
    pub fn picture(&self, sample: &Sample) -> &EncodedImage {
        &self.pictures[&sample.images[0].path]
    }

    /// What is known of a file's image: attribute and English value of each label.
    pub fn labels(&self, file: &str) -> Vec<String> {
        let sample = self.samples.iter().find(|sample| sample.conversation.provenance.file == file).unwrap();
        let labels = sample.conversation.labels.iter();
        labels.map(|label| format!("{}={}", label.attribute, label.value.en)).collect()
    }
}

/// Blocks of colour drawn from `seed`: no two seeds resemble each other.
pub fn picture(seed: u32, width: u32, height: u32) -> Rgb8 {
    let block = |x: u32, y: u32| {
        let mut state = seed.wrapping_mul(0x9E37_79B9) ^ (x * 16 / width) << 8 ^ (y * 16 / height) << 20;
        for _ in 0..3 {
            state = (state ^ state >> 15).wrapping_mul(0x2C1B_3C6D);
        }
        [(state >> 8) as u8, (state >> 16) as u8, (state >> 24) as u8]
    };
    let pixels = (0..width * height).flat_map(|index| block(index % width, index / width)).collect();
    Rgb8::new(width, height, pixels).unwrap()
}

/// The head of a source with department and modality.
pub fn source(name: &str, rest: &str) -> String {
    format!(
        "[[source]]\nname = \"{name}\"\nroot = \"${{DATA}}\"\nlicence = \"none\"\ndepartment = \"oncology\"\n{rest}\n"
    )
}
