//! Good texts: what a careful writer would say about a record.

use crate::phrasing::{DEVELOPMENT_EN, DEVELOPMENT_ZH, HELD_OUT_EN, HELD_OUT_ZH, Phrasing};
use gmai_curate::verify::Exchange;
use gmai_schema::{Attribute, BoundingBox, Form, Language, Modality, Record, SourceFacts, Term};

/// Which half of phrasings and sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    Development,
    HeldOut,
}

/// A small seeded generator.
pub struct Draw(u64);

impl Draw {
    pub fn new(parts: &[&str]) -> Draw {
        let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
        Draw(bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)))
    }

    pub fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % count.max(1)
    }

    pub fn pick<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// A text with what it is about.
#[derive(Clone)]
pub struct Text {
    pub form: Form,
    pub language: Language,
    pub region: Option<usize>,
    pub sentences: Vec<String>,
    /// A question, when it is an answer.
    pub question: String,
}

impl Text {
    pub fn exchanges(&self) -> Vec<Exchange> {
        let glue = if self.language == Language::En { " " } else { "" };
        vec![Exchange { question: self.question.clone(), answer: self.sentences.join(glue) }]
    }
}

pub fn phrasing(half: Half, language: Language) -> &'static Phrasing {
    match (half, language) {
        (Half::Development, Language::En) => &DEVELOPMENT_EN,
        (Half::HeldOut, Language::En) => &HELD_OUT_EN,
        (Half::Development, _) => &DEVELOPMENT_ZH,
        (Half::HeldOut, _) => &HELD_OUT_ZH,
    }
}

/// What an image of a modality is called.
pub fn image_noun(modality: Modality, half: Half, language: Language) -> &'static str {
    let (development, held_out) = match (modality, language) {
        (Modality::Ct, Language::En) => ("a CT image", "a computed tomography slice"),
        (Modality::Mr, Language::En) => ("an MR image", "a slice from an MRI examination"),
        (Modality::XRay, Language::En) => ("an X-ray image", "a plain radiograph"),
        (Modality::Ultrasound, Language::En) => ("an ultrasound image", "a sonographic image in B-mode"),
        (Modality::Pathology, Language::En) => {
            ("a histopathology image", "a tissue section stained with hematoxylin and eosin")
        }
        (Modality::Microscopy, Language::En) => ("a microscopy image", "a micrograph taken with a light microscope"),
        (Modality::Endoscopy, Language::En) => ("an endoscopy image", "a frame from an endoscopic examination"),
        (Modality::Fundus, Language::En) => ("a fundus photograph", "a color photograph of the ocular fundus"),
        (Modality::Dermoscopy, Language::En) => ("a dermoscopy image", "a dermatoscopic close-up"),
        (Modality::Ct, _) => ("CT图像", "一幅计算机断层扫描图像"),
        (Modality::Mr, _) => ("磁共振图像", "核磁共振影像"),
        (Modality::XRay, _) => ("X光图像", "X线平片"),
        (Modality::Ultrasound, _) => ("超声图像", "B超声像图"),
        (Modality::Pathology, _) => ("组织病理图像", "组织切片图像"),
        (Modality::Microscopy, _) => ("显微镜图像", "显微照片"),
        (Modality::Endoscopy, _) => ("内窥镜图像", "内镜检查截图"),
        (Modality::Fundus, _) => ("眼底照片", "彩色眼底图像"),
        (Modality::Dermoscopy, _) => ("皮肤镜图像", "皮肤镜照片"),
        _ => ("a medical image", "a medical image"),
    };
    if half == Half::Development { development } else { held_out }
}

/// Other words for terms: of the development half, of the other.
const SYNONYMS: &[(&str, &str, &str)] = &[
    ("pleural effusion", "fluid in the pleural space", "an effusion of the pleura"),
    ("cardiomegaly", "an enlarged heart", "enlargement of the cardiac silhouette"),
    ("white blood cell", "leukocyte", "leucocyte"),
    ("red blood cell", "erythrocyte", "red cell"),
    ("platelet", "thrombocyte", "thrombocyte"),
    ("colorectal polyp", "polyp", "polypoid lesion"),
    ("benign breast lesion", "a benign lesion of the breast", "a benign-looking breast mass"),
    ("malignant breast lesion", "a malignant lesion of the breast", "a breast mass of malignant nature"),
    ("normal breast", "normal breast tissue", "a breast without abnormality"),
    ("no finding", "no abnormal finding", "no pathological findings"),
    ("retinal vessel tree", "retinal vasculature", "network of retinal vessels"),
    ("lung nodule", "a nodule in the lung", "a pulmonary nodule"),
    ("pulmonary edema", "edema of the lungs", "oedema"),
    ("anteroposterior projection", "AP projection", "AP view"),
    ("posteroanterior projection", "PA projection", "PA view"),
    ("atelectasis", "atelectatic change", "partial collapse of the lung"),
];

pub fn name(term: &Term, half: Half, language: Language, draw: &mut Draw) -> Option<String> {
    let own = term.text(language)?.to_string();
    let other = SYNONYMS.iter().find(|(en, ..)| *en == term.en).filter(|_| language == Language::En && draw.chance(40));
    Some(other.map_or(own, |(_, development, held_out)| {
        (if half == Half::Development { *development } else { *held_out }).to_string()
    }))
}

pub fn fill(sentence: &str, facts: &[(&str, &str)]) -> String {
    let mut text = sentence.to_string();
    for (key, value) in facts {
        text = text.replace(&format!("{{{key}}}"), value);
    }
    let text = text.replace("a an ", "an ").replace("a a ", "a ").replace("A an ", "An ").replace("A a ", "A ");
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

pub fn plural(name: &str) -> String {
    match name {
        name if name.ends_with("nucleus") => name.replace("nucleus", "nuclei"),
        name if name.ends_with('s') => name.to_string(),
        name if name.ends_with('y') && !name.ends_with("ey") => format!("{}ies", &name[..name.len() - 1]),
        name => format!("{name}s"),
    }
}

pub fn number_word(count: usize, language: Language) -> String {
    let en =
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
    let zh = ["零", "一", "两", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二"];
    let words = if language == Language::En { en } else { zh };
    words.get(count).map_or(count.to_string(), |word| (*word).to_string())
}

/// Where a box clearly lies: words in both languages.
pub fn place(bounds: &BoundingBox) -> Option<(&'static str, &'static str)> {
    let (x, y) = ((bounds.x1 + bounds.x2) / 2.0, (bounds.y1 + bounds.y2) / 2.0);
    match (x < 0.36, x > 0.64, y < 0.36, y > 0.64) {
        (true, _, true, _) => Some(("upper left", "左上部")),
        (true, _, _, true) => Some(("lower left", "左下部")),
        (_, true, true, _) => Some(("upper right", "右上部")),
        (_, true, _, true) => Some(("lower right", "右下部")),
        (false, false, false, false) => Some(("central", "中央")),
        _ => None,
    }
}

/// Findings whose absence may be told: none of the sets has them.
pub const ABSENT: &[(&str, &str)] = &[
    ("fracture", "骨折"),
    ("calcification", "钙化"),
    ("hemorrhage", "出血"),
    ("abscess", "脓肿"),
    ("necrosis", "坏死"),
    ("metastasis", "转移"),
    ("aneurysm", "动脉瘤"),
];

fn label_sentence(
    attribute: &Attribute,
    value: &Term,
    half: Half,
    language: Language,
    draw: &mut Draw,
) -> Option<String> {
    let value = name(value, half, language, draw)?;
    let attribute = attribute.name.text(language)?;
    Some(fill(draw.pick(phrasing(half, language).labels), &[("a", attribute), ("v", &value)]))
}

/// A description of the whole image.
pub fn caption(record: &Record, facts: &SourceFacts, half: Half, language: Language, draw: &mut Draw) -> Option<Text> {
    let words = phrasing(half, language);
    let mut sentences = Vec::new();
    if let Some(modality) = record.modality {
        sentences.push(fill(draw.pick(words.openings), &[("m", image_noun(modality, half, language))]));
    }
    for attribute in &facts.attributes {
        for label in record.labels.iter().filter(|label| label.attribute == attribute.key) {
            sentences.push(label_sentence(attribute, &label.value, half, language, draw)?);
        }
    }
    let mut terms: Vec<&Term> = record.regions.iter().map(|region| &region.term).collect();
    terms.sort();
    terms.dedup();
    for term in terms.into_iter().take(3) {
        let marked: Vec<&BoundingBox> =
            record.regions.iter().filter(|region| region.term == *term).map(|region| &region.bounds).collect();
        let name = name(term, half, language, draw)?;
        if marked.len() > 1 || draw.chance(40) {
            let many = if marked.len() > 1 && language == Language::En { plural(&name) } else { name.clone() };
            let facts = [("k", number_word(marked.len(), language)), ("n", many)];
            sentences
                .push(fill(draw.pick(words.counted), &facts.each_ref().map(|(key, value)| (*key, value.as_str()))));
        } else {
            sentences.push(fill(draw.pick(words.marked), &[("n", &name)]));
            if let Some((en, zh)) = place(marked[0]) {
                let p = if language == Language::En { en } else { zh };
                sentences.push(fill(draw.pick(words.placed), &[("n", &name), ("p", p)]));
            }
        }
    }
    if sentences.is_empty() {
        return None;
    }
    sentences.extend(absent(half, language, draw));
    sentences.push(draw.pick(words.fillers).to_string());
    Some(Text { form: Form::ImageCaption, language, region: None, sentences, question: String::new() })
}

fn absent(half: Half, language: Language, draw: &mut Draw) -> Option<String> {
    let (en, zh) = ABSENT[draw.below(ABSENT.len())];
    let finding = if language == Language::En { en } else { zh };
    draw.chance(60).then(|| fill(draw.pick(phrasing(half, language).absent), &[("f", finding)]))
}

/// A description of one region.
pub fn region(record: &Record, index: usize, half: Half, language: Language, draw: &mut Draw) -> Option<Text> {
    let words = phrasing(half, language);
    let region = &record.regions[index];
    let name = name(&region.term, half, language, draw)?;
    let mut sentences = vec![fill(draw.pick(words.regions), &[("n", &name)])];
    sentences.push(draw.pick(words.features).to_string());
    if let (Some((en, zh)), true) = (place(&region.bounds), draw.chance(60)) {
        let p = if language == Language::En { en } else { zh };
        sentences.push(fill(draw.pick(words.placed), &[("n", &name), ("p", p)]));
    }
    Some(Text { form: Form::RegionCaption, language, region: Some(index), sentences, question: String::new() })
}

/// A question with its answer.
pub fn answer(record: &Record, facts: &SourceFacts, half: Half, language: Language, draw: &mut Draw) -> Option<Text> {
    let words = phrasing(half, language);
    let form = Form::Instruction;
    if let (Some(attribute), true) = (facts.attributes.first(), draw.chance(60)) {
        let label = record.labels.iter().find(|label| label.attribute == attribute.key)?;
        let name = attribute.name.text(language)?;
        let question = match (language, half) {
            (Language::En, Half::Development) => format!("What is the {name} of this image?"),
            (Language::En, Half::HeldOut) => format!("Judging from the picture alone, how would you state the {name}?"),
            (_, Half::Development) => format!("该图像的{name}是什么？"),
            (_, Half::HeldOut) => format!("仅凭这幅图，您会如何描述{name}？"),
        };
        let sentences = vec![label_sentence(attribute, &label.value, half, language, draw)?];
        return Some(Text { form, language, region: None, sentences, question });
    }
    let (en, zh) = ABSENT[draw.below(ABSENT.len())];
    let (question, no) = match (language, half) {
        (Language::En, Half::Development) => (format!("Is there any {en} in this image?"), "No."),
        (Language::En, Half::HeldOut) => (format!("Could this appearance be due to {en}?"), "No, it could not."),
        (_, Half::Development) => (format!("图中有{zh}吗？"), "没有。"),
        (_, Half::HeldOut) => (format!("该表现是否为{zh}所致？"), "不是。"),
    };
    let finding = if language == Language::En { en } else { zh };
    let sentences = vec![no.to_string(), fill(draw.pick(words.absent), &[("f", finding)])];
    Some(Text { form, language, region: None, sentences, question })
}
