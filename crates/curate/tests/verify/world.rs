//! Records that texts are written about: those of all shared sets, and made-up ones with grades and measures, which the sets lack.

use gmai_curate::{Job, SourceRecords, records};
use gmai_schema::{
    Attribute, BoundingBox, Department, Label, Modality, PixelSource, Provenance, Record, Region, SourceFacts, Split,
    Task, Term,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A source with its records.
pub struct Source {
    pub facts: SourceFacts,
    pub records: Vec<Record>,
}

/// The folder named by GMAI_SHARED, else `../shared` beside the repository.
pub fn shared() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = std::env::var_os("GMAI_SHARED").map_or(beside, PathBuf::from);
    folder.join("data").is_dir().then_some(folder)
}

/// English and Chinese.
type Names = (&'static str, &'static str);

/// The sources of configs/curate/open_data.toml whose folder is there, with at most `most` records each, spread evenly.
pub fn open_data(shared: &Path, most: usize) -> Vec<Source> {
    let config_path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/curate/open_data.toml");
    let text = std::fs::read_to_string(&config_path).unwrap();
    let head_end = text.find("[[source]]").unwrap();
    let mut config_text = text[..head_end].to_string();
    for part in text[head_end..].split("[[source]]\n").skip(1) {
        let root = part.lines().find_map(|line| line.strip_prefix("root = \"${GMAI_SHARED}/data/")).unwrap();
        if shared.join("data").join(root.trim_end_matches('"')).is_dir() {
            config_text += &format!("[[source]]\n{part}");
        }
    }
    let variables = BTreeMap::from([("GMAI_SHARED".to_string(), shared.display().to_string())]);
    // A folder of its own: tests run side by side.
    let folder = tempfile::tempdir().unwrap();
    let job = Job {
        config_path,
        config_text,
        variables,
        out: folder.path().join("records"),
        decoder: gmai_imaging::Decoder::default(),
    };
    let read = records(&job, &mut |_| {}).unwrap_or_else(|error| panic!("{error}"));
    let spread = |source: SourceRecords| {
        let step = source.records.len().div_ceil(most).max(1);
        let records = source.records.into_iter().step_by(step).map(|(record, _): (Record, Split)| record).collect();
        Source { facts: source.facts, records }
    };
    read.into_iter().map(spread).filter(|source| !source.records.is_empty()).collect()
}

struct MadeUp {
    name: &'static str,
    modality: Modality,
    department: Department,
    /// Attribute, its Chinese name, and its values.
    attributes: &'static [(&'static str, &'static str, &'static [Names])],
    /// What is marked.
    terms: &'static [(&'static str, &'static str)],
}

const MADE_UP: &[MadeUp] = &[
    MadeUp {
        name: "retinopathy-grades",
        modality: Modality::Fundus,
        department: Department::Ophthalmology,
        attributes: &[
            (
                "severity",
                "严重程度",
                &[
                    ("mild nonproliferative diabetic retinopathy", "轻度非增殖期糖尿病视网膜病变"),
                    ("moderate nonproliferative diabetic retinopathy", "中度非增殖期糖尿病视网膜病变"),
                    ("severe nonproliferative diabetic retinopathy", "重度非增殖期糖尿病视网膜病变"),
                    ("proliferative diabetic retinopathy", "增殖期糖尿病视网膜病变"),
                ],
            ),
            ("eye", "眼别", &[("left eye", "左眼"), ("right eye", "右眼")]),
        ],
        terms: &[],
    },
    MadeUp {
        name: "knee-grades",
        modality: Modality::XRay,
        department: Department::OrthopedicSurgery,
        attributes: &[
            (
                "grade",
                "分级",
                &[
                    ("grade 1 osteoarthritis of the knee", "膝骨关节炎1级"),
                    ("grade 2 osteoarthritis of the knee", "膝骨关节炎2级"),
                    ("grade 3 osteoarthritis of the knee", "膝骨关节炎3级"),
                    ("grade 4 osteoarthritis of the knee", "膝骨关节炎4级"),
                ],
            ),
            ("side", "侧别", &[("left knee", "左膝"), ("right knee", "右膝")]),
        ],
        terms: &[],
    },
    MadeUp {
        name: "breast-categories",
        modality: Modality::Ultrasound,
        department: Department::Oncology,
        attributes: &[(
            "category",
            "分类",
            &[
                ("BI-RADS 2 breast lesion", "BI-RADS 2类乳腺病变"),
                ("BI-RADS 4 breast lesion", "BI-RADS 4类乳腺病变"),
                ("BI-RADS 5 breast lesion", "BI-RADS 5类乳腺病变"),
            ],
        )],
        terms: &[("breast lesion", "乳腺病变")],
    },
    MadeUp {
        name: "kidneys-marked",
        modality: Modality::Ct,
        department: Department::Urology,
        attributes: &[(
            "stage",
            "分期",
            &[("stage I renal cell carcinoma", "I期肾细胞癌"), ("stage III renal cell carcinoma", "III期肾细胞癌")],
        )],
        terms: &[("left kidney", "左肾"), ("right kidney", "右肾")],
    },
];

/// Records with grades, sides and marks.
pub fn made_up(count: usize) -> Vec<Source> {
    MADE_UP.iter().enumerate().map(|(index, source)| build(source, index, count)).collect()
}

fn build(made: &MadeUp, number: usize, count: usize) -> Source {
    let term = |pair: &(&str, &str)| Term::new(pair.0, pair.1);
    let attribute = |(key, zh, values): &(&str, &str, &[(&str, &str)])| Attribute {
        key: (*key).into(),
        name: Term::new(*key, *zh),
        task: Task::SeverityGrading,
        values: values.iter().map(term).collect(),
        multiple: false,
        ordinal: false,
        open: false,
    };
    let facts = SourceFacts {
        name: made.name.into(),
        department: made.department,
        modalities: vec![made.modality],
        attributes: made.attributes.iter().map(attribute).collect(),
        region_terms: made.terms.iter().map(term).collect(),
        region_task: Task::OrganRecognitionAbdomen,
        regions_exhaustive: true,
        licence: "CC0".into(),
    };
    let record = |index: usize| {
        let labels = facts.attributes.iter().enumerate().map(|(place, attribute)| Label {
            attribute: attribute.key.clone(),
            value: attribute.values[(index / (1 + place * 2)) % attribute.values.len()].clone(),
        });
        let regions =
            facts.region_terms.iter().enumerate().filter(|(place, _)| *place == 0 || index.is_multiple_of(3)).map(
                |(place, term)| {
                    let x = if (index + place).is_multiple_of(2) { 0.08 } else { 0.62 };
                    let y = if (index / 2).is_multiple_of(2) { 0.1 } else { 0.6 };
                    let bounds = BoundingBox { x1: x, y1: y, x2: x + 0.25, y2: y + 0.28 };
                    Region { term: term.clone(), bounds, mask: None }
                },
            );
        let (id, patient) = (format!("made-up-{number}-{index}"), format!("patient-{index}"));
        let pixels = PixelSource::File("picture.png".into());
        Record {
            modality: Some(made.modality),
            labels: labels.collect(),
            regions: regions.collect(),
            provenance: Provenance { file: format!("images/case_{index:05}.png"), ..Provenance::default() },
            ..Record::new(id, made.name.into(), made.department, pixels, patient)
        }
    };
    Source { records: (0..count).map(record).collect(), facts }
}
