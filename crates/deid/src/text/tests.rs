#![allow(clippy::unwrap_used)]
use super::*;
use std::sync::LazyLock;

static FINDER: LazyLock<Finder> = LazyLock::new(Finder::new);

/// The text with every identifier in tags: what a reader would see.
fn tagged(text: &str) -> String {
    let key = crate::Key::new([1; 32]);
    let style =
        Style { replacement: crate::profile::Replacement::Tag, dates: TextDates::Replace, key: &key, patient: "1" };
    style.replace(text, &FINDER.find(text, &Known::default()))
}

#[test]
fn known_words_are_found_in_any_case_and_only_whole() {
    let known = Known::new(["García".to_string(), "4711".to_string(), "王".to_string(), "小东".to_string()]);
    let text = "GARCÍA came; 4711 noted, 14711 not. 小东";
    let found: Vec<&str> = FINDER.find(text, &known).iter().map(|span| &text[span.start..span.end]).collect();
    assert_eq!(found, ["GARCÍA", "4711", "小东"]);
}

#[test]
fn plain_findings_stay_as_they_are() {
    for text in [
        "There should be no phi in this note",
        "Heart size is normal. No pleural effusion or pneumothorax. T12 fracture, 3.5 cm mass at L4-L5, 120/80 mmHg, 5 x 4 mm.",
        "Aspirin 81 mg daily. Metformin 1,000 mg by mouth. Hemoglobin 13.2 g/dL, WBC 4.5.",
        "Ecografía abdominal sin hallazgos. Glucemia de 169 mg/dl, PSA de 1.16 ng/ml. Grado III/IV.",
        "双肺纹理清晰，未见明显实变影。心影大小正常。肝右叶见一大小约3.5×2.1cm低密度影。",
        "Virus de Epstein-Barr negativo; enfermedad de Crohn; técnica de Anderson-Hynes.",
    ] {
        assert_eq!(tagged(text), text);
    }
}

#[test]
fn english_notes_lose_who_when_and_where() {
    let cases = [
        ("Seen by Dr. Wilson on 07/01/19.", "Seen by Dr. [NAME] on [DATE]."),
        ("Attending: Roger C Kelly, MD 512-832-5025", "Attending: [NAME], MD [PHONE]"),
        ("Jack Reacher, 54 y.o. male (DOB = 1/21/1928)", "[NAME], 54 y.o. male (DOB = [DATE])"),
        ("MRN: 0937884, SSN 123-45-6789", "MRN: [ID], SSN [ID]"),
        ("Call (634)743-5135 or mail j.doe@clinic.org", "Call [PHONE] or mail [EMAIL]"),
        ("A 92-year-old woman", "A [AGE] woman"),
        ("An 82-year-old woman", "An 82-year-old woman"),
        ("admitted on March 3, 2019", "admitted on [DATE]"),
        ("transferred to Brigham Health Center", "transferred to [HOSPITAL]"),
        ("Lives at 123 Park Drive", "Lives at [ADDRESS]"),
        ("his wife Jessy Smith called", "his wife [NAME] called"),
    ];
    for (text, expected) in cases {
        assert_eq!(tagged(text), expected, "{text}");
    }
}

#[test]
fn spanish_notes_lose_who_when_and_where() {
    let cases = [
        (
            "Nombre: Marisol.\nApellidos: Jimenez Garcia .\nNHC: 3745648.",
            "Nombre: [NAME].\nApellidos: [NAME] .\nNHC: [ID].",
        ),
        ("Médico: Adriana Echeverría Goche NºCol: 28 28 57890.", "Médico: [NAME] NºCol: [ID]."),
        ("La Dra. Pérez de la Fuente lo vio el 3 de mayo de 2015.", "La Dra. [NAME] lo vio el [DATE]."),
        ("NASS: 89 56206853 21.", "NASS: [ID]."),
        ("acudió en octubre de 2002 al Hospital General de Segovia", "acudió en [DATE] al [HOSPITAL]"),
        ("CP: 28042.", "CP: [PLACE]."),
        ("mujer de 91 años", "mujer de [AGE]"),
    ];
    for (text, expected) in cases {
        assert_eq!(tagged(text), expected, "{text}");
    }
}

#[test]
fn chinese_reports_lose_who_when_and_where() {
    let cases = [
        ("姓名：王小东 性别：男 年龄：45岁", "姓名：[NAME] 性别：男 年龄：45岁"),
        ("患者李建国，男，62岁，于2021年3月5日入院。", "患者[NAME]，男，62岁，于[DATE]入院。"),
        ("住院号：00123456，电话：13812345678", "住院号：[ID]，电话：[PHONE]"),
        ("报告医生：张丽华", "报告医生：[NAME]"),
        ("身份证号：11010519491231002X", "身份证号：[ID]"),
        ("就诊于北京协和医院", "就诊于[HOSPITAL]"),
        ("现年95岁", "现年[AGE]"),
        ("由陈明主任医师会诊", "由[NAME]主任医师会诊"),
        ("家庭住址：浙江省杭州市西湖区文三路100号3栋502室", "家庭住址：[ADDRESS]"),
    ];
    for (text, expected) in cases {
        assert_eq!(tagged(text), expected, "{text}");
    }
}

#[test]
fn spans_are_in_order_whole_and_apart() {
    let text = "Remitido por: Dr. José Lizardo Ramón Vera Calle 25 no 1g-89, Bogotá. e-mail: jolira01@hotmail.com";
    let spans = FINDER.find(text, &Known::default());
    assert!(spans.windows(2).all(|pair| pair[0].end <= pair[1].start));
    assert!(spans.iter().all(|span| text.is_char_boundary(span.start) && text.is_char_boundary(span.end)));
    assert!(!tagged(text).contains("Lizardo") && !tagged(text).contains("hotmail"));
}
