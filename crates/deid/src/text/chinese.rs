//! What Chinese reports write. Words have no gaps, so names are told by the words around them.

use super::rules::{Pattern, pattern};
use super::{Kind, Span};

pub(super) static PATTERNS: &[Pattern] = &[
    pattern(Kind::Date, r"(?:19|20)\d{2}[ ]?年[ ]?\d{1,2}[ ]?月(?:[ ]?\d{1,2}[ ]?[日号])?"),
    pattern(Kind::Date, r"\d{1,2}月\d{1,2}[日号]"),
    pattern(Kind::Date, r"(?:19|20)\d{2}年(?:初|底|末|春节?|夏|秋|冬|国庆节?|元旦|中秋节?|端午节?|清明节?|五一)?"),
    pattern(Kind::Date, r"(?:今年|去年|前年)\d{1,2}月(?:\d{1,2}[日号]|初|中旬|底)?"),
    pattern(
        Kind::Date,
        r"[一二][〇零一二三四五六七八九]{3}年(?:[一二三四五六七八九十]{1,3}月(?:[一二三四五六七八九十]{1,3}[日号])?)?",
    ),
    pattern(
        Kind::Date,
        r"(?:出生日期|生日|检查日期|报告日期|入院日期|出院日期|日期|检查时间|报告时间|审核时间)[ \t]*[:：][ \t]*([0-9][0-9年月日/.\-]{3,12})",
    ),
    pattern(Kind::Age, r"((?:9\d|1[0-3]\d)[ ]?岁)"),
    pattern(Kind::Age, r"年龄[ \t]*[:：][ \t]*(9\d|1[0-3]\d)(?-u:\b)"),
    pattern(Kind::Phone, r"(?-u:\b)(?:\+?86[ \-]?)?1[3-9]\d[ \-]?\d{4}[ \-]?\d{4}(?-u:\b)"),
    pattern(Kind::Phone, r"(?-u:\b)0\d{2,3}[ \-]\d{7,8}(?:[\-转]\d{1,5})?"),
    pattern(
        Kind::Phone,
        r"(?:电话|手机|联系方式|联系电话|传真|手机号码?|电话号码)[ \t]*[:：]?[ \t]*(\+?\d[\d \-]{5,18}\d)",
    ),
    pattern(Kind::Id, r"(?-u:\b)\d{17}[\dXx](?-u:\b)"),
    pattern(
        Kind::Id,
        r"(?:住院号|门诊号|病历号|病案号|检查号|影像号|登记号|就诊卡?号|医保卡?号|社保卡?号|身份证号?码?|病理号|标本号|条码号?|报告单?号|申请单?号|床号|放射号|超声号|CT号|MR号|MRI号|X线号|病人ID|患者ID|ID号?|编号|工号|护照号?码?)[ \t]*[:：]?[ \t]*([A-Za-z]{0,4}[\-]?\d[\dA-Za-z\-]*)",
    ),
    pattern(Kind::Id, r"(?-u:\b)(\d{1,3}床)"),
    // People.
    pattern(
        Kind::Name,
        r"(?:姓名|患者姓名|病人姓名|联系人|家属|监护人|签名|签字|患者签名|(?:报告|审核|检查|主治|主管|经治|手术|申请|诊断|书写|谈话|麻醉|转出|送检|管床|值班)医[生师]|医[生师]|责任护士|护士|主刀|术者|[一二三]助|助手|操作者|技师|签发)[ \t\u{3000}]*[:：][ \t\u{3000}]*(\p{Han}{2,4}(?:·\p{Han}{1,8})*)",
    ),
    // Without a colon, or after words that also begin sentences, the name must be one and end there.
    pattern(
        Kind::Name,
        r"(?:姓名|联系人|(?:报告|审核|检查|主治|主管|经治|手术|申请|诊断|书写|谈话|麻醉|转出|送检|管床|值班)医[生师]|责任护士)[ \t\u{3000}]*({FAMILY}\p{Han}{1,2})(?:[ \t\u{3000}，,。；;（(\n\d]|$)",
    ),
    pattern(
        Kind::Name,
        r"(?:记录者?|审核者?|报告者?)[ \t\u{3000}]*[:：][ \t\u{3000}]*({FAMILY}\p{Han}{1,2})(?:[ \t\u{3000}，,。；;（(\n\d]|$)",
    ),
    pattern(
        Kind::Name,
        r"(?:姓名|患者姓名|报告医[生师]|审核医[生师])[ \t\u{3000}]*[:：][ \t\u{3000}]*([A-Z][A-Za-z]+(?: [A-Z][A-Za-z]+){0,2})",
    ),
    pattern(
        Kind::Name,
        r"({FAMILY}\p{Han}{1,2})(?:主任医师|副主任医师|主治医师|住院医师|医生|医师|大夫|主任|教授|护士长|护士|院长|先生|女士|小姐|同志|技师)",
    ),
    // 任 is a family name, but not in 主任 and 责任.
    pattern(Kind::Name, r"(?:^|[^主责担])({FAMILY})(?:医生|医师|大夫|主任|教授|护士|院长|先生|女士|小姐|某某?|某)"),
    pattern(Kind::Name, r"(?:患者|病人|患儿|产妇|孕妇)[ ]?({FAMILY}\p{Han}{1,2})[ ]?[,，、（(;；][ ]?(?:男|女|\d)"),
    pattern(
        Kind::Name,
        r"(?:患者|病人|患儿|产妇|孕妇)[ ]?({FAMILY}\p{Han}{1,2}?)(?:[与和因于系（(]|[,，](?:身份证|住院号|床号))",
    ),
    pattern(Kind::Name, r"[与和及、]({FAMILY}\p{Han}{1,2}?)(?:为|均|同为|一起|系)"),
    pattern(
        Kind::Name,
        r"(?:其子|其女|其妻|其夫|其父|其母|之子|之女|之妻|之夫|之父|之母|儿子|女儿|妻子|丈夫|配偶|父亲|母亲|家属)[ ]?({FAMILY}\p{Han}{1,2}?)(?:代|陪|诉|述|签|于|沟通|表示|体健|已故|联系|交代|说明|[，,。（(；;])",
    ),
    pattern(Kind::Name, r"(?m)^[ \t]*({FAMILY}\p{Han}{1,2})[ ]?(?:[,，][ ]?(?:男|女)|[（(])"),
    pattern(Kind::Name, r"\d{1,3}床[ ]?({FAMILY}\p{Han}{1,2})[,，、。；（( ]"),
    // Places.
    pattern(
        Kind::Address,
        r"(?:住址|家庭住址|现住址|地址|家庭地址|户口地址|工作单位|单位|联系地址|户籍地?址?)[ \t]*[:：][ \t]*([^\n，。；;]{2,60})",
    ),
    pattern(Kind::Place, r"(?:籍贯|出生地|民族籍贯)[ \t]*[:：][ \t]*(\p{Han}{2,20})"),
    pattern(
        Kind::Address,
        r"(?:\p{Han}{2,8}(?:省|自治区))?\p{Han}{2,7}[市州盟](?:\p{Han}{1,7}[区县市旗])?(?:\p{Han}{1,10}(?:街道|大街|大道|路|街|巷|胡同|弄|镇|乡|村|小区|社区|花园|新村|苑)){1,4}(?:[ ]?\d{1,5}[号弄])?(?:\p{Han}{1,8}(?:花园|小区|新村|公寓|大厦|家园|社区|苑|城))?(?:[ ]?\d{1,4}(?:号楼|栋|幢|座|楼|单元|室|号|层)){0,5}(?:\d{1,5}室?)?",
    ),
    pattern(
        Kind::Address,
        r"\p{Han}{1,10}(?:路|街|巷|胡同|大道)[ ]?\d{1,5}[号弄](?:\p{Han}{1,8}(?:花园|小区|新村|公寓|大厦|家园|社区|苑|城))?(?:[ ]?\d{1,4}(?:号楼|栋|幢|座|楼|单元|室|号|层)){0,5}(?:\d{1,5}室?)?",
    ),
    pattern(
        Kind::Place,
        r"(?:北京|上海|天津|重庆|广州|深圳|杭州|南京|武汉|成都|西安|苏州|长沙|郑州|青岛|大连|沈阳|哈尔滨|济南|厦门|福州|昆明|合肥|宁波|无锡|南昌|南宁|石家庄|太原|长春|贵阳|兰州|海口|银川|西宁|呼和浩特|乌鲁木齐|拉萨|香港|澳门|台北)市?",
    ),
    pattern(
        Kind::Place,
        r"(?:河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南|陕西|甘肃|青海|台湾)省(?:\p{Han}{2,5}[市县])?",
    ),
    pattern(
        Kind::Hospital,
        r"(?:\p{Han}{2,12}(?:大学|学院))?(?:附属)?(?:第[一二三四五六七八九十]{1,2})?\p{Han}{0,10}(?:人民|中心|协和|中医|儿童|妇幼|妇产|肿瘤|总|附属|解放军|友谊|同济|华西|瑞金|湘雅|省立|市立|第[一二三四五六七八九十])\p{Han}{0,6}医院",
    ),
    pattern(Kind::Hospital, r"\p{Han}{2,10}(?:医院|卫生院|卫生服务中心|保健院|诊所|医学中心|体检中心)"),
];

/// Words of reports that begin with a character that is also a family name.
const NO_NAMES: &[&str] = &[
    "高血", "高热", "高烧", "高脂", "高度", "高龄", "平素", "安静", "关节", "关于", "方法", "方便", "房颤", "时有",
    "时间", "左侧", "左眼", "左肺", "双侧", "全身", "全部", "常规", "常有", "易怒", "明显", "明确", "白血", "白细",
    "石膏", "金葡", "黄疸", "黄染", "水肿", "水平", "温度", "单纯", "成人", "成年", "车祸", "曾因", "曾有", "曾在",
    "党员", "应用", "向上", "向下", "和平", "钟情", "支气", "雷诺", "费用", "路人", "于是", "干咳", "农民", "古稀",
    "宫内", "宫颈", "皮肤", "皮下", "毛细", "步态", "言语", "年龄", "何时", "何处", "强化", "包膜", "计划", "从未",
    "满意", "查体", "主任", "任何", "心内", "科室", "门诊", "门静", "充盈", "封闭", "终末", "终止", "国家", "经治",
    "广泛", "利尿", "权衡", "解释",
];

/// Prepositions and verbs before a name that are rare family names too.
const BEFORE_NAMES: &[char] = &['由', '请', '经', '与', '和', '向', '从', '被', '及'];

/// Whether a span that was taken for a Chinese name is one; cuts a preposition off.
pub(super) fn is_name(text: &str, span: &mut Span) -> bool {
    let inner = &text[span.start..span.end];
    if span.kind == Kind::Name && inner.starts_with(BEFORE_NAMES) && inner.chars().count() >= 3 {
        span.start += inner.chars().next().map_or(0, char::len_utf8);
    }
    let inner = &text[span.start..span.end];
    span.kind != Kind::Name || !NO_NAMES.iter().any(|word| inner.starts_with(word))
}

/// Verbs and prepositions before a place: without gaps between words, the patterns above take them along.
const BEFORE_PLACES: &[char] = &[
    '在', '于', '至', '到', '往', '从', '由', '赴', '转', '入', '经', '我', '该', '住', '来', '自', '因', '曾', '：',
    ':',
];

/// Cuts what stands before a Chinese place or hospital; false when nothing is left.
pub(super) fn cut(text: &str, span: &mut Span) -> bool {
    if !matches!(span.kind, Kind::Hospital | Kind::Address | Kind::Place) {
        return true;
    }
    let inner = &text[span.start..span.end];
    if inner.chars().any(|letter| u32::from(letter) < 0x2E80 && letter.is_alphabetic()) {
        return true;
    }
    // Only near the front: 往 or 入 may also be part of a street's name.
    let front = inner.char_indices().take(8).filter(|(_, letter)| BEFORE_PLACES.contains(letter)).last();
    if let Some((at, letter)) = front {
        span.start += at + letter.len_utf8();
    }
    text[span.start..span.end].chars().count() >= 2
}
