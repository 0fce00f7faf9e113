//! Subdivisions by name: some databases spell out `California` where rules say `US-CA` (ISO 3166-2).
//!
//! Only the large countries, where a country's centre says little about where its users are. A name that is not here is left out, which
//! means that rules about subdivisions do not see it.

use super::record::Code;

/// The ISO 3166-2 code of a country's part, from the part's code (`CA`), the whole (`US-CA`) or, in large countries, its English name.
pub(super) fn subdivision_code(country: Code, part: &str) -> Option<Box<str>> {
    let code = part.strip_prefix(country.as_str()).and_then(|rest| rest.strip_prefix('-')).unwrap_or(part);
    let is_code = (1..=3).contains(&code.len()) && code.bytes().all(|octet| octet.is_ascii_uppercase() || octet.is_ascii_digit());
    let code = if is_code { code } else { code_of_name(country, part)? };
    Some(format!("{country}-{code}").into())
}

/// The code of the part with this name.
fn code_of_name(country: Code, name: &str) -> Option<&'static str> {
    let (_, parts) = NAMES.iter().find(|(code, _)| *code == country.as_str())?;
    parts.split('|').find_map(|part| part.split_once(' ').filter(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(code, _)| code))
}

/// For each country, `code name` of its parts; another spelling is another entry.
const NAMES: &[(&str, &str)] = &[
    (
        "US",
        "AL Alabama|AK Alaska|AZ Arizona|AR Arkansas|CA California|CO Colorado|CT Connecticut|DE Delaware|DC District of Columbia|\
         DC Washington, D.C.|FL Florida|GA Georgia|HI Hawaii|ID Idaho|IL Illinois|IN Indiana|IA Iowa|KS Kansas|KY Kentucky|LA Louisiana|ME Maine|\
         MD Maryland|MA Massachusetts|MI Michigan|MN Minnesota|MS Mississippi|MO Missouri|MT Montana|NE Nebraska|NV Nevada|NH New Hampshire|\
         NJ New Jersey|NM New Mexico|NY New York|NC North Carolina|ND North Dakota|OH Ohio|OK Oklahoma|OR Oregon|PA Pennsylvania|RI Rhode Island|\
         SC South Carolina|SD South Dakota|TN Tennessee|TX Texas|UT Utah|VT Vermont|VA Virginia|WA Washington|WV West Virginia|WI Wisconsin|WY Wyoming",
    ),
    (
        "CA",
        "AB Alberta|BC British Columbia|MB Manitoba|NB New Brunswick|NL Newfoundland and Labrador|NS Nova Scotia|NT Northwest Territories|NU Nunavut|\
         ON Ontario|PE Prince Edward Island|QC Quebec|QC Québec|SK Saskatchewan|YT Yukon",
    ),
    (
        "AU",
        "ACT Australian Capital Territory|NSW New South Wales|NT Northern Territory|QLD Queensland|SA South Australia|TAS Tasmania|VIC Victoria|\
         WA Western Australia",
    ),
    (
        "BR",
        "AC Acre|AL Alagoas|AP Amapa|AP Amapá|AM Amazonas|BA Bahia|CE Ceara|CE Ceará|DF Distrito Federal|DF Federal District|ES Espirito Santo|\
         ES Espírito Santo|GO Goias|GO Goiás|MA Maranhao|MA Maranhão|MT Mato Grosso|MS Mato Grosso do Sul|MG Minas Gerais|PA Para|PA Pará|PB Paraiba|\
         PB Paraíba|PR Parana|PR Paraná|PE Pernambuco|PI Piaui|PI Piauí|RJ Rio de Janeiro|RN Rio Grande do Norte|RS Rio Grande do Sul|RO Rondonia|\
         RO Rondônia|RR Roraima|SC Santa Catarina|SP Sao Paulo|SP São Paulo|SE Sergipe|TO Tocantins",
    ),
    (
        "IN",
        "AN Andaman and Nicobar Islands|AP Andhra Pradesh|AR Arunachal Pradesh|AS Assam|BR Bihar|CH Chandigarh|CG Chhattisgarh|\
         DH Dadra and Nagar Haveli and Daman and Diu|DL Delhi|GA Goa|GJ Gujarat|HR Haryana|HP Himachal Pradesh|JK Jammu and Kashmir|JH Jharkhand|\
         KA Karnataka|KL Kerala|LA Ladakh|LD Lakshadweep|MP Madhya Pradesh|MH Maharashtra|MN Manipur|ML Meghalaya|MZ Mizoram|NL Nagaland|OD Odisha|\
         PY Puducherry|PB Punjab|RJ Rajasthan|SK Sikkim|TN Tamil Nadu|TS Telangana|TR Tripura|UP Uttar Pradesh|UK Uttarakhand|WB West Bengal",
    ),
    (
        "CN",
        "AH Anhui|BJ Beijing|CQ Chongqing|FJ Fujian|GS Gansu|GD Guangdong|GX Guangxi|GZ Guizhou|HI Hainan|HE Hebei|HL Heilongjiang|HA Henan|HB Hubei|\
         HN Hunan|NM Inner Mongolia|JS Jiangsu|JX Jiangxi|JL Jilin|LN Liaoning|NX Ningxia|QH Qinghai|SN Shaanxi|SD Shandong|SH Shanghai|SX Shanxi|\
         SC Sichuan|TJ Tianjin|XJ Xinjiang|XZ Tibet|YN Yunnan|ZJ Zhejiang",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_come_to_the_same() {
        let of = |country: &str, part: &str| subdivision_code(Code::parse(country).unwrap(), part);
        for part in ["CA", "US-CA", "California"] {
            assert_eq!(of("US", part).as_deref(), Some("US-CA"), "{part}");
        }
        assert_eq!(of("DE", "Bayern"), None, "only large countries' names are known");
        assert_eq!(of("AU", "New South Wales").as_deref(), Some("AU-NSW"));
        assert_eq!(of("BR", "São Paulo").as_deref(), Some("BR-SP"));
    }

    #[test]
    fn every_name_has_a_code() {
        for (country, parts) in NAMES {
            for part in parts.split('|') {
                let (code, name) = part.split_once(' ').unwrap();
                assert!((2..=3).contains(&code.len()) && !name.is_empty() && name.trim() == name, "{country} {part:?}");
            }
        }
    }
}
