use super::*;
use gmai_schema::{
    Attribute, BoundingBox, Department, Label, Modality, PixelSource, Provenance, QuestionAnswer, Region, Task, Term,
};

fn facts(attributes: Vec<Attribute>, region_terms: Vec<Term>) -> SourceFacts {
    SourceFacts {
        name: "made-up".into(),
        department: Department::Oncology,
        modalities: vec![],
        attributes,
        region_terms,
        region_task: Task::CellRecognition,
        regions_exhaustive: true,
        licence: "CC0".into(),
    }
}

fn attribute(key: &str, values: &[(&str, &str)], multiple: bool) -> Attribute {
    let values = values.iter().map(|(en, zh)| Term::new(*en, *zh)).collect();
    let name = Term::new(key, "属性");
    Attribute { key: key.into(), name, task: Task::DiseaseDiagnosis, values, multiple, ordinal: false, open: false }
}

fn record(modality: Modality, labels: &[(&str, &str, &str)], regions: &[(&str, &str, [f32; 4])]) -> Record {
    let pixels = PixelSource::File("a/img_0042.png".into());
    Record {
        modality: Some(modality),
        labels: labels
            .iter()
            .map(|(key, en, zh)| Label { attribute: (*key).into(), value: Term::new(*en, *zh) })
            .collect(),
        regions: regions
            .iter()
            .map(|(en, zh, [x1, y1, x2, y2])| Region {
                term: Term::new(*en, *zh),
                bounds: BoundingBox { x1: *x1, y1: *y1, x2: *x2, y2: *y2 },
                mask: None,
            })
            .collect(),
        provenance: Provenance { file: "a/img_0042.png".into(), ..Provenance::default() },
        ..Record::new("r1".into(), "made-up".into(), Department::Oncology, pixels, "p1".into())
    }
}

fn chest() -> (SourceFacts, Record) {
    let values =
        [("no finding", "未见异常"), ("pneumonia", "肺炎"), ("pleural effusion", "胸腔积液"), ("pneumothorax", "气胸")];
    let record = record(Modality::XRay, &[("finding", "pneumonia", "肺炎")], &[]);
    (facts(vec![attribute("finding", &values, true)], vec![]), record)
}

fn rules(facts: &SourceFacts, record: &Record, form: Form, language: Language, text: &str) -> Vec<Rule> {
    let none = BTreeMap::new();
    let checker = Checker { facts, japanese: &none, lengths: Lengths { least: 5, most: 2000 } };
    let exchanges = [Exchange { question: String::new(), answer: text.into() }];
    let draft = Draft { form, language, region: Some(0), exchanges: &exchanges };
    checker.check(record, &draft).into_iter().map(|violation| violation.rule).collect()
}

fn caption(world: &(SourceFacts, Record), text: &str) -> Vec<Rule> {
    rules(&world.0, &world.1, Form::ImageCaption, Language::En, text)
}

#[test]
fn a_chest_film_with_pneumonia() {
    let world = chest();
    for text in [
        "This chest X-ray shows patchy opacities in keeping with pneumonia. No pneumothorax is seen.",
        "A radiograph of the thorax. The finding is pneumonia; the heart is not enlarged.",
    ] {
        assert_eq!(caption(&world, text), [], "{text}");
    }
    for (text, rule) in [
        ("This chest X-ray shows a pneumothorax.", Rule::Label),
        ("A normal chest radiograph without abnormality.", Rule::Label),
        ("A chest X-ray. There is no evidence of pneumonia.", Rule::Label),
        ("This CT of the chest shows pneumonia.", Rule::Modality),
        ("An X-ray of the knee with pneumonia.", Rule::Organ),
        ("A chest X-ray with pneumonia of the left lung.", Rule::Side),
        ("A chest X-ray with pneumonia and a fracture of a rib.", Rule::InventedFinding),
        ("A chest X-ray with pneumonia, stage III.", Rule::Grade),
        ("A chest X-ray with pneumonia; the opacity measures 3 cm.", Rule::Size),
        ("As an AI I see a chest X-ray with pneumonia.", Rule::Leakage),
        ("A chest X-ray with pneumonia (img_0042.png).", Rule::Leakage),
        ("A chest X-ray with pneumonia taken on 12/03/2019.", Rule::Identifier),
        ("胸部X光片显示肺炎。", Rule::Language),
        ("CXR", Rule::Length),
    ] {
        let found = caption(&world, text);
        assert!(found.contains(&rule), "{text}: {found:?}");
    }
}

#[test]
fn cells_are_counted_and_placed() {
    let cells = [
        ("white blood cell", "白细胞", [0.1, 0.1, 0.3, 0.3]),
        ("red blood cell", "红细胞", [0.6, 0.6, 0.7, 0.7]),
        ("red blood cell", "红细胞", [0.7, 0.1, 0.8, 0.2]),
    ];
    let terms = vec![
        Term::new("white blood cell", "白细胞"),
        Term::new("red blood cell", "红细胞"),
        Term::new("platelet", "血小板"),
    ];
    let world = (facts(vec![], terms), record(Modality::Microscopy, &[], &cells));
    for text in [
        "A blood smear with one leukocyte and two erythrocytes.",
        "The white blood cell lies in the upper left part of the image.",
        "Microscopy of blood: two red blood cells and a single white blood cell.",
    ] {
        assert_eq!(caption(&world, text), [], "{text}");
    }
    for (text, rule) in [
        ("A blood smear with three leukocytes.", Rule::Number),
        ("The white blood cell lies in the lower right corner of the image.", Rule::Position),
        ("A blood smear with a platelet.", Rule::Label),
    ] {
        let found = caption(&world, text);
        assert!(found.contains(&rule), "{text}: {found:?}");
    }
    let region = |language, text| rules(&world.0, &world.1, Form::RegionCaption, language, text);
    assert_eq!(region(Language::En, "This region shows a white blood cell in the upper left of the image."), []);
    assert_eq!(region(Language::Zh, "该区域显示一个白细胞，位于图像左上部。"), []);
    assert_eq!(region(Language::Ja, "この領域には白血球が見られます。"), []);
    assert!(region(Language::En, "Here a white blood cell is seen.").contains(&Rule::RegionStart));
    assert!(region(Language::Zh, "该区域显示一个红细胞。").contains(&Rule::Label));
    assert!(region(Language::Zh, "该区域显示白细胞，位于图像右下部。").contains(&Rule::Position));
    assert!(region(Language::Ja, "この領域には血小板が見られます。").contains(&Rule::Label));
}

#[test]
fn sides_and_grades_are_the_records() {
    let eye = attribute("eye", &[("left eye", "左眼"), ("right eye", "右眼")], false);
    let dr =
        attribute("dr", &[("moderate nonproliferative diabetic retinopathy", "中度非增殖期糖尿病视网膜病变")], false);
    let labels = [
        ("eye", "left eye", "左眼"),
        ("dr", "moderate nonproliferative diabetic retinopathy", "中度非增殖期糖尿病视网膜病变"),
    ];
    let world = (facts(vec![eye, dr], vec![]), record(Modality::Fundus, &labels, &[]));
    for text in [
        "A fundus photograph of the left eye with moderate nonproliferative diabetic retinopathy.",
        "Retinal photograph, left eye: microaneurysms and hard exudates fit moderate NPDR.",
    ] {
        assert_eq!(caption(&world, text), [], "{text}");
    }
    for (text, rule) in [
        ("A fundus photograph of the right eye.", Rule::Label),
        ("The retina of the right eye is shown in a fundus photograph.", Rule::Label),
        ("A fundus photograph with severe nonproliferative diabetic retinopathy.", Rule::Grade),
        ("A fundus photograph with proliferative diabetic retinopathy.", Rule::Grade),
        ("A fundus photograph with glaucoma.", Rule::InventedFinding),
    ] {
        let found = caption(&world, text);
        assert!(found.contains(&rule), "{text}: {found:?}");
    }
}

#[test]
fn questions_claim_what_they_presuppose_and_answers_what_they_affirm() {
    let (facts, record) = chest();
    let none = BTreeMap::new();
    let check = |question: &str, answer: &str| -> Vec<Rule> {
        let exchanges = [Exchange { question: question.into(), answer: answer.into() }];
        let draft = Draft { form: Form::Instruction, language: Language::En, region: None, exchanges: &exchanges };
        let checker = Checker { facts: &facts, japanese: &none, lengths: Lengths::default() };
        checker.check(&record, &draft).into_iter().map(|violation| violation.rule).collect()
    };
    assert_eq!(check("Is there a pneumothorax?", "No, there is none."), []);
    assert_eq!(check("Is pneumonia present?", "Yes, pneumonia is present."), []);
    assert_eq!(check("Is there a pneumothorax?", "Yes."), [Rule::Label]);
    assert_eq!(check("Is pneumonia present?", "No."), [Rule::Label]);
    assert!(check("Which features support the pneumothorax?", "A visible line.").contains(&Rule::Label));
}

#[test]
fn what_people_wrote_about_the_image_supports_a_text() {
    let (facts, mut record) = chest();
    record.questions.push(QuestionAnswer {
        question: "Is there a rib fracture?".into(),
        answer: "Yes".into(),
        language: Language::En,
        kind: None,
        official_split: None,
    });
    assert_eq!(caption(&(facts, record), "A chest X-ray with pneumonia and a rib fracture."), []);
}
