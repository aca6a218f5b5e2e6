//! The closed vocabularies of GMAI-VL-5.5M: 13 modalities, 18 departments and 18 clinical tasks
//! (paper, table 3 and figure 4; the task names are GMAI-MMBench's), and body parts and report sections beside them,
//! each member with its English, Chinese and Japanese name and the other words that mean it.
//!
//! [`Modality::lookup`] and its kin map words of data and configs: by key, name or synonym, without regard to case, blanks and
//! hyphens. A word that is none of these is [`UnknownWord`], with the members whose words are nearest: nothing is guessed.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The language of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English.
    En,
    /// Simplified Chinese.
    Zh,
    /// Japanese: written by language models only, templates speak English and Chinese.
    Ja,
}

impl Language {
    /// Every language.
    pub const ALL: [Language; 3] = [Language::En, Language::Zh, Language::Ja];

    /// The key written in shards and configs: `en`, `zh` or `ja`.
    pub fn key(self) -> &'static str {
        match self {
            Language::En => "en",
            Language::Zh => "zh",
            Language::Ja => "ja",
        }
    }
}

/// A word that no member of a vocabulary has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is no {vocabulary} of the vocabulary; the nearest are {}", nearest.join(", "))]
pub struct UnknownWord {
    /// The word as it was given.
    pub word: String,
    /// What the vocabulary is of, e.g. `modality`.
    pub vocabulary: &'static str,
    /// Keys of the members with the nearest words, the nearest first.
    pub nearest: Vec<&'static str>,
}

/// Members named for an unknown word.
const NUM_NEAREST: usize = 3;

/// Letters and digits of a word in lower case: `X-Ray`, `x ray` and `x_ray` are one.
fn folded(word: &str) -> String {
    word.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Insertions, deletions, replacements and swaps of neighbours that make one word of the other. Words longer than this are cut.
fn distance(one: &str, other: &str) -> usize {
    const LONGEST: usize = 64;
    let (one, other): (Vec<char>, Vec<char>) =
        (one.chars().take(LONGEST).collect(), other.chars().take(LONGEST).collect());
    let mut rows = vec![vec![0; other.len() + 1]; one.len() + 1];
    for i in 0..=one.len() {
        for j in 0..=other.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i.max(j)
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(one[i - 1] != other[j - 1]);
                let mut least = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                    least = least.min(rows[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    rows[one.len()][other.len()]
}

/// The keys whose words are nearest to `word`; among equally near ones the order of the vocabulary decides.
fn nearest(word: &str, members: &[(&'static str, Vec<&'static str>)]) -> Vec<&'static str> {
    let word = folded(word);
    // A share of the longer word: three wrong letters of four are farther than three of twelve.
    let share = |other: &str| {
        let other = folded(other);
        distance(&word, &other) * 1000 / word.chars().count().max(other.chars().count()).max(1)
    };
    let mut all: Vec<(usize, &'static str)> = members
        .iter()
        .map(|(key, words)| (words.iter().map(|known| share(known)).min().unwrap_or(usize::MAX), *key))
        .collect();
    all.sort_by_key(|(distance, _)| *distance);
    all.into_iter().take(NUM_NEAREST).map(|(_, key)| key).collect()
}

/// Declares a vocabulary: an enum whose variants have a key (as written in configs and shards), a name per language and synonyms.
macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident as $what:literal {
        $($(#[$variant_doc:meta])* $variant:ident = $key:literal, $en:literal, $zh:literal, $ja:literal $(, [$($synonym:literal),* $(,)?])?;)+
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$variant_doc])* #[doc = $en] $variant,)+
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.key())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            /// Any word that [`lookup`](Self::lookup) knows.
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                $name::lookup(&String::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }

        impl $name {
            /// Every member, in the order of this file.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The key written in configs and shards.
            pub fn key(self) -> &'static str {
                match self { $($name::$variant => $key,)+ }
            }

            /// The member with this key; `None` for any other text.
            pub fn from_key(key: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|member| member.key() == key)
            }

            /// The name a reader of `language` sees in the middle of a sentence.
            pub fn name(self, language: Language) -> &'static str {
                match (self, language) {
                    $(
                        ($name::$variant, Language::En) => $en,
                        ($name::$variant, Language::Zh) => $zh,
                        ($name::$variant, Language::Ja) => $ja,
                    )+
                }
            }

            /// Every word that means this member: its key, its names, its synonyms.
            pub fn words(self) -> Vec<&'static str> {
                match self { $($name::$variant => vec![$key, $en, $zh, $ja $(, $($synonym),*)?],)+ }
            }

            /// The member that `word` means, by key, name or synonym, without regard to case, blanks and hyphens.
            pub fn from_word(word: &str) -> Option<$name> {
                let wanted = folded(word);
                let means = |member: &$name| member.words().iter().any(|known| folded(known) == wanted);
                $name::ALL.iter().copied().find(means)
            }

            /// As [`from_word`](Self::from_word); the error names the members whose words are nearest.
            pub fn lookup(word: &str) -> Result<$name, UnknownWord> {
                if let Some(member) = $name::from_word(word) {
                    return Ok(member);
                }
                let members: Vec<_> = $name::ALL.iter().map(|member| (member.key(), member.words())).collect();
                Err(UnknownWord { word: word.to_owned(), vocabulary: $what, nearest: nearest(word, &members) })
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.key())
            }
        }
    };
}

vocabulary! {
    /// How an image was acquired.
    Modality as "modality" {
        Ct = "ct", "CT", "CT", "CT", ["computed tomography", "CT scan", "CAT scan", "CTA", "CT angiography", "CBCT", "HRCT", "计算机断层扫描", "CT扫描", "电子计算机断层扫描"];
        Mr = "mr", "MR", "磁共振", "MRI", ["MRI", "magnetic resonance", "magnetic resonance imaging", "MR imaging", "MR image", "fMRI", "MRA", "NMR", "磁共振成像", "核磁共振", "核磁"];
        XRay = "x_ray", "X-ray", "X光", "X線写真", ["radiograph", "radiography", "plain film", "roentgenogram", "CXR", "chest X-ray", "CR", "DX", "DR", "computed radiography", "digital radiography", "mammography", "mammogram", "MG", "fluoroscopy", "angiography", "XA", "panoramic X-ray", "X线", "X射线", "X线片", "胸片", "平片", "钼靶"];
        Ultrasound = "ultrasound", "ultrasound", "超声", "超音波", ["US", "ultrasonography", "sonography", "sonogram", "echocardiography", "echocardiogram", "B-mode", "IVUS", "doppler ultrasound", "超声成像", "B超", "彩超", "超声心动图"];
        Pathology = "pathology", "histopathology", "组织病理", "病理組織", ["histology", "histopathology image", "whole slide image", "WSI", "whole slide imaging", "slide microscopy", "SM", "H&E", "HE", "病理", "病理切片", "组织切片", "数字病理"];
        Microscopy = "microscopy", "microscopy", "显微镜", "顕微鏡", ["microscope", "microscopic", "microscopy image", "light microscopy", "fluorescence microscopy", "electron microscopy", "cytology", "blood smear", "GM", "显微镜检查", "显微成像", "显微图像", "荧光显微镜", "细胞学"];
        Endoscopy = "endoscopy", "endoscopy", "内窥镜", "内視鏡", ["endoscope", "endoscopic", "ES", "colonoscopy", "gastroscopy", "bronchoscopy", "laparoscopy", "cystoscopy", "capsule endoscopy", "内镜", "胃镜", "肠镜", "结肠镜", "腹腔镜", "支气管镜"];
        Fundus = "fundus", "fundus photography", "眼底照相", "眼底写真", ["fundus photograph", "fundus photo", "fundus image", "color fundus photography", "colour fundus photography", "CFP", "retinal photography", "retinal photograph", "OP", "眼底照片", "眼底彩照", "眼底图像", "眼底"];
        Dermoscopy = "dermoscopy", "dermoscopy", "皮肤镜", "ダーモスコピー", ["dermatoscopy", "dermoscopic", "dermoscopic image", "dermatoscope", "DMS", "皮肤镜检查", "皮肤镜图像"];
        Oct = "oct", "optical coherence tomography", "光学相干断层扫描", "光干渉断層計", ["OPT", "SD-OCT", "OCT scan", "光学相干断层成像", "光学相干断层"];
        InfraredReflectance = "infrared_reflectance", "infrared reflectance", "红外反射成像", "赤外反射", ["IR", "infrared reflectance imaging", "infrared", "near infrared reflectance", "NIR reflectance", "红外反射", "红外眼底成像"];
        Pet = "pet", "PET", "PET", "PET", ["positron emission tomography", "PT", "PET scan", "FDG-PET", "正电子发射断层扫描", "正电子发射断层成像"];
        Ophthalmoscope = "ophthalmoscope", "ophthalmoscopy", "检眼镜", "検眼鏡", ["scanning laser ophthalmoscopy", "SLO", "adaptive optics ophthalmoscopy", "indirect ophthalmoscopy", "眼底镜", "激光检眼镜"];
    }
}

vocabulary! {
    /// The clinical department an image comes from.
    Department as "department" {
        OrthopedicSurgery = "orthopedic_surgery", "orthopedic surgery", "骨科", "整形外科", ["orthopedics", "orthopaedics", "orthopaedic surgery", "orthopedic", "骨外科", "矫形外科"];
        GeneralSurgery = "general_surgery", "general surgery", "普通外科", "一般外科", ["surgery", "普外科", "外科"];
        Gastroenterology = "gastroenterology_hepatology", "gastroenterology and hepatology", "消化肝病科", "消化器・肝臓内科", ["gastroenterology", "hepatology", "gastroenterology & hepatology", "消化内科", "消化科", "肝病科", "胃肠科"];
        Hematology = "hematology", "hematology", "血液科", "血液内科", ["haematology", "血液内科"];
        PulmonaryMedicine = "pulmonary_medicine", "pulmonary medicine", "呼吸内科", "呼吸器内科", ["pulmonology", "respiratory medicine", "pneumology", "chest medicine", "呼吸科", "呼吸与危重症医学科", "肺科"];
        SportsMedicine = "sports_medicine", "sports medicine", "运动医学科", "スポーツ医学科", ["sport medicine", "运动医学"];
        Neurosurgery = "neurosurgery", "neurosurgery", "神经外科", "脳神経外科", ["neurological surgery", "脑外科"];
        Nephrology = "nephrology_hypertension", "nephrology and hypertension", "肾病高血压科", "腎臓・高血圧内科", ["nephrology", "renal medicine", "nephrology & hypertension", "肾内科", "肾脏内科", "肾病科"];
        Endocrinology = "endocrinology", "endocrinology", "内分泌科", "内分泌内科", ["endocrinology and metabolism", "内分泌代谢科"];
        InfectiousDiseases = "infectious_diseases", "infectious diseases", "感染科", "感染症科", ["infectious disease", "infectiology", "传染科", "感染病科"];
        Urology = "urology", "urology", "泌尿外科", "泌尿器科", ["urologic surgery", "泌尿科"];
        Otolaryngology = "otolaryngology", "otolaryngology, head and neck surgery", "耳鼻喉头颈外科", "耳鼻咽喉科・頭頸部外科", ["ENT", "otorhinolaryngology", "ear, nose and throat", "otolaryngology (ENT) / head and neck surgery", "otolaryngology/head & neck surgery", "耳鼻喉科", "耳鼻咽喉科"];
        CardiovascularSurgery = "cardiovascular_surgery", "cardiovascular surgery", "心血管外科", "心臓血管外科", ["cardiac surgery", "cardiothoracic surgery", "heart surgery", "心外科", "心脏外科"];
        ObstetricsGynecology = "obstetrics_gynecology", "obstetrics and gynecology", "妇产科", "産婦人科", ["OB/GYN", "obstetrics", "gynecology", "gynaecology", "obstetrics and gynaecology", "obstetrics & gynecology", "妇科", "产科"];
        LaboratoryMedicine = "laboratory_medicine_pathology", "laboratory medicine and pathology", "检验病理科", "臨床検査・病理診断科", ["laboratory medicine", "pathology", "laboratory medicine & pathology", "检验科", "病理科", "检验医学"];
        Dermatology = "dermatology", "dermatology", "皮肤科", "皮膚科", ["皮肤性病科"];
        Oncology = "oncology", "medical oncology", "肿瘤内科", "腫瘍内科", ["oncology (medical)", "肿瘤科"];
        Ophthalmology = "ophthalmology", "ophthalmology", "眼科", "眼科", ["eye clinic"];
    }
}

vocabulary! {
    /// What a question is about: the 18 clinical tasks, and three kinds of question that benchmarks add.
    Task as "task" {
        AttributeRecognition = "attribute_recognition", "attribute recognition", "属性识别", "属性認識", ["attribute"];
        BloodVesselRecognition = "blood_vessel_recognition", "blood vessel recognition", "血管识别", "血管認識", ["blood vessels recognition", "blood vessels", "vessel recognition"];
        BoneRecognition = "bone_recognition", "bone recognition", "骨骼识别", "骨認識", ["bone", "骨识别"];
        CellRecognition = "cell_recognition", "cell recognition", "细胞识别", "細胞認識", ["cell"];
        Counting = "counting", "counting", "计数", "計数", ["count", "目标计数"];
        DiseaseDiagnosis = "disease_diagnosis", "disease diagnosis", "疾病诊断", "疾患診断", ["diagnosis", "disease classification", "诊断"];
        ImageQualityGrading = "image_quality_grading", "image quality grading", "图像质量分级", "画質評価", ["image quality", "image quality assessment", "图像质量评估"];
        MicroorganismRecognition = "microorganism_recognition", "microorganism recognition", "微生物识别", "微生物認識", ["microorganism"];
        MuscleRecognition = "muscle_recognition", "muscle recognition", "肌肉识别", "筋肉認識", ["muscle"];
        NervousTissueRecognition = "nervous_tissue_recognition", "nervous tissue recognition", "神经组织识别", "神経組織認識", ["nervous tissue"];
        OrganRecognitionAbdomen = "organ_recognition_abdomen", "abdominal organ recognition", "腹部器官识别", "腹部臓器認識", ["organ recognition - abdomen"];
        OrganRecognitionHeadNeck = "organ_recognition_head_neck", "head and neck organ recognition", "头颈器官识别", "頭頸部臓器認識", ["organ recognition - head and neck", "头颈部器官识别"];
        OrganRecognitionPelvic = "organ_recognition_pelvic", "pelvic organ recognition", "盆腔器官识别", "骨盤臓器認識", ["organ recognition - pelvic", "organ recognition - pelvis"];
        OrganRecognitionThorax = "organ_recognition_thorax", "thoracic organ recognition", "胸部器官识别", "胸部臓器認識", ["organ recognition - thorax", "organ recognition - chest"];
        SeverityGrading = "severity_grading", "severity grading", "严重程度分级", "重症度分類", ["grading", "severity", "disease grading", "分级"];
        SurgeonActionRecognition = "surgeon_action_recognition", "surgeon action recognition", "术者动作识别", "術者動作認識", ["surgical action recognition", "手术动作识别"];
        SurgicalInstrumentRecognition = "surgical_instrument_recognition", "surgical instrument recognition", "手术器械识别", "手術器具認識", ["surgical instrument", "surgical tool recognition"];
        SurgicalWorkflowRecognition = "surgical_workflow_recognition", "surgical workflow recognition", "手术流程识别", "手術工程認識", ["surgical workflow", "surgical phase recognition", "手术阶段识别"];
        ModalityRecognition = "modality_recognition", "modality recognition", "模态识别", "モダリティ認識";
        BodyPartRecognition = "body_part_recognition", "body part recognition", "部位识别", "部位認識";
        QuestionAnswering = "question_answering", "visual question answering", "视觉问答", "視覚的質問応答", ["question answering", "VQA", "问答"];
    }
}

vocabulary! {
    /// What part of the body an image shows. Synonyms include the defined terms of DICOM's BodyPartExamined (PS3.16, annex L).
    BodyPart as "body part" {
        WholeBody = "whole_body", "whole body", "全身", "全身", ["WHOLEBODY", "body", "total body"];
        Head = "head", "head", "头部", "頭部", ["SKULL", "cranium", "head CT", "颅", "头颅"];
        Brain = "brain", "brain", "脑部", "脳", ["cerebrum", "brain stem and cerebrum", "脑", "大脑", "颅脑"];
        Eye = "eye", "eye", "眼部", "眼", ["retina", "fundus oculi", "orbit", "ORBIT", "眼", "眼底"];
        Ear = "ear", "ear", "耳部", "耳", ["TEMPORALBONE", "IAC", "耳"];
        Face = "face", "face", "面部", "顔面", ["SINUS", "paranasal sinus", "sinuses", "NOSE", "面"];
        Jaw = "jaw", "jaw", "颌部", "顎", ["MANDIBLE", "MAXILLA", "TMJ", "teeth", "tooth", "dental", "牙", "牙齿", "口腔"];
        HeadNeck = "head_neck", "head and neck", "头颈部", "頭頸部", ["HEADNECK", "head & neck", "head-neck"];
        Neck = "neck", "neck", "颈部", "頸部", ["THYROID", "LARYNX", "CAROTID", "soft tissue of neck", "颈", "甲状腺"];
        Chest = "chest", "chest", "胸部", "胸部", ["THORAX", "lung", "lungs", "MEDIASTINUM", "RIB", "thoracic", "胸", "肺", "肺部"];
        Heart = "heart", "heart", "心脏", "心臓", ["cardiac", "CORONARYARTERY", "coronary arteries", "心"];
        Breast = "breast", "breast", "乳腺", "乳房", ["breasts", "mammary gland", "乳房"];
        Abdomen = "abdomen", "abdomen", "腹部", "腹部", ["ABD", "abdominal", "LIVER", "KIDNEY", "PANCREAS", "SPLEEN", "STOMACH", "GALLBLADDER", "腹", "肝脏"];
        ChestAbdomen = "chest_abdomen", "chest and abdomen", "胸腹部", "胸腹部", ["CHESTABDOMEN", "thorax and abdomen"];
        AbdomenPelvis = "abdomen_pelvis", "abdomen and pelvis", "腹盆部", "腹部骨盤", ["ABDOMENPELVIS", "abdomen & pelvis"];
        ChestAbdomenPelvis = "chest_abdomen_pelvis", "chest, abdomen and pelvis", "胸腹盆部", "胸腹部骨盤", ["CHESTABDPELVIS", "CAP", "trunk", "TRUNK"];
        Colon = "colon", "colon", "结肠", "結腸", ["RECTUM", "LARGEINTESTINE", "bowel", "colorectum", "肠道", "结直肠"];
        Pelvis = "pelvis", "pelvis", "盆腔", "骨盤", ["pelvic", "PROSTATE", "BLADDER", "UTERUS", "OVARY", "盆", "骨盆"];
        Spine = "spine", "spine", "脊柱", "脊椎", ["CSPINE", "TSPINE", "LSPINE", "SSPINE", "cervical spine", "thoracic spine", "lumbar spine", "SACRUM", "COCCYX", "spinal column", "颈椎", "胸椎", "腰椎"];
        Shoulder = "shoulder", "shoulder", "肩部", "肩", ["CLAVICLE", "SCAPULA", "肩", "肩关节"];
        Arm = "arm", "arm", "上臂", "上腕", ["HUMERUS", "upper extremity", "ELBOW", "FOREARM", "肘部", "上肢", "前臂"];
        Hand = "hand", "hand", "手部", "手", ["WRIST", "FINGER", "THUMB", "hands", "手", "腕部"];
        Hip = "hip", "hip", "髋部", "股関節", ["hips", "髋", "髋关节"];
        Leg = "leg", "leg", "腿部", "脚", ["FEMUR", "TIBIA", "THIGH", "CALF", "lower extremity", "下肢", "大腿", "小腿"];
        Knee = "knee", "knee", "膝部", "膝", ["PATELLA", "knees", "膝", "膝关节"];
        Foot = "foot", "foot", "足部", "足", ["ANKLE", "CALCANEUS", "TOE", "feet", "足", "踝部"];
        Skin = "skin", "skin", "皮肤", "皮膚", ["integument"];
        Blood = "blood", "blood", "血液", "血液", ["peripheral blood", "外周血"];
    }
}

vocabulary! {
    /// What a section of a report is.
    SectionKind as "report section" {
        Indication = "indication", "indication", "检查目的", "検査目的", ["indications", "reason for exam", "reason for examination", "reason for study", "indications for procedure", "clinical indication", "clinical question", "motivo de consulta", "motivo", "motivo de ingreso", "indicación", "检查原因"];
        History = "history", "history", "病史", "病歴", ["clinical history", "history of present illness", "clinical information", "patient history", "medical history", "past medical history", "social history", "antecedentes", "historia clínica", "historia actual", "临床病史", "现病史", "临床资料"];
        Technique = "technique", "technique", "检查方法", "検査方法", ["procedure", "procedures", "examination", "exam", "protocol", "method", "técnica", "exploración", "扫描方法", "检查技术"];
        Comparison = "comparison", "comparison", "对比检查", "比較", ["comparisons", "comparison studies", "prior studies", "comparación", "对照", "比较"];
        Findings = "findings", "findings", "检查所见", "所見", ["finding", "observations", "report", "microscopic description", "gross description", "specimen adequacy", "hallazgos", "exploración física", "影像所见", "影像学表现", "超声所见", "镜下所见", "内镜所见", "所见", "影像表现", "检查描述"];
        Impression = "impression", "impression", "诊断意见", "診断", ["impressions", "conclusion", "conclusions", "summary", "interpretation", "diagnostic interpretation", "assessment", "opinion", "impresión", "conclusión", "conclusiones", "juicio clínico", "诊断印象", "影像诊断", "印象", "结论", "超声提示", "检查结论", "诊断结论"];
        Diagnosis = "diagnosis", "diagnosis", "诊断", "病名", ["final diagnosis", "diagnoses", "diagnóstico", "diagnóstico principal", "病理诊断", "临床诊断"];
        Recommendation = "recommendation", "recommendation", "建议", "推奨", ["recommendations", "advice", "follow-up", "plan", "tratamiento", "recomendaciones", "evolución", "处理意见", "随访建议"];
        Results = "results", "results", "检验结果", "検査結果", ["result", "laboratory results", "lab results", "hormonal evaluations", "resultados", "pruebas complementarias", "检查结果", "化验结果"];
        Comment = "comment", "comment", "备注", "備考", ["comments", "note", "notes", "addendum", "remarks", "comentario", "说明", "附注"];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_unique_and_read_back() {
        for modality in Modality::ALL {
            assert_eq!(Modality::from_key(modality.key()), Some(*modality));
        }
        let mut keys: Vec<_> = Task::ALL.iter().map(|task| task.key()).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), Task::ALL.len());
        assert_eq!((Modality::ALL.len(), Department::ALL.len()), (13, 18));
    }

    #[test]
    fn serde_uses_the_key() {
        assert_eq!(serde_json::to_string(&Modality::XRay).expect("plain enum"), "\"x_ray\"");
        assert_eq!(
            serde_json::from_str::<Modality>("\"xray\"").expect("blanks and hyphens do not count"),
            Modality::XRay
        );
        assert!(serde_json::from_str::<Modality>("\"sonar\"").is_err());
    }

    #[test]
    fn words_of_both_languages_are_mapped() {
        for (word, modality) in
            [("MRI", Modality::Mr), ("CR", Modality::XRay), ("B超", Modality::Ultrasound), ("X线", Modality::XRay)]
        {
            assert_eq!(Modality::lookup(word), Ok(modality));
        }
        assert_eq!(Department::lookup("骨外科"), Ok(Department::OrthopedicSurgery));
        assert_eq!(Department::lookup("Gastroenterology & Hepatology"), Ok(Department::Gastroenterology));
        assert_eq!(Task::lookup("Surgical phase recognition"), Ok(Task::SurgicalWorkflowRecognition));
        assert_eq!(BodyPart::lookup("CHESTABDPELVIS"), Ok(BodyPart::ChestAbdomenPelvis));
        assert_eq!(SectionKind::lookup("影像所见"), Ok(SectionKind::Findings));
        assert_eq!(SectionKind::lookup("Juicio clínico"), Ok(SectionKind::Impression));
    }

    #[test]
    fn unknown_words_name_the_nearest_members() {
        let error = Modality::lookup("ultrasuond").expect_err("misspelt");
        assert_eq!((error.nearest[0], error.vocabulary), ("ultrasound", "modality"));
        assert!(
            error
                .to_string()
                .starts_with("`ultrasuond` is no modality of the vocabulary; the nearest are ultrasound, ")
        );
        assert_eq!(Department::lookup("dermatolgy").expect_err("misspelt").nearest[0], "dermatology");
        assert!(Modality::lookup("").is_err() && Modality::lookup("-").is_err());
    }

    /// No word may mean two members: the first would win by its place in this file.
    #[test]
    fn every_word_means_one_member() {
        fn check<T: PartialEq + std::fmt::Debug + Copy>(all: &[T], words: impl Fn(T) -> Vec<&'static str>) {
            for one in all {
                for other in all.iter().filter(|other| *other != one) {
                    let others: Vec<String> = words(*other).into_iter().map(folded).collect();
                    for word in words(*one) {
                        assert!(!others.contains(&folded(word)), "`{word}` means {one:?} and {other:?}");
                    }
                }
            }
        }
        check(Modality::ALL, Modality::words);
        check(Department::ALL, Department::words);
        check(Task::ALL, Task::words);
        check(BodyPart::ALL, BodyPart::words);
        check(SectionKind::ALL, SectionKind::words);
    }
}
