//! Names of contracts in SQL.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Builder, StringBuilder, StructArray,
    TimestampMicrosecondBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use lakectl_options::contract::{Contract, Terms, Venue, parse_contract};

use super::super::scalar::{check_count, utc_micros};
use super::super::{FunctionInfo, OwnFunction};

pub(super) static OWN: &[OwnFunction] = &[OwnFunction {
    info: INFO,
    make: || ScalarUDF::new_from_impl(ContractFunction::new()),
}];

const INFO: FunctionInfo = FunctionInfo {
    name: "contract",
    version: 2,
    signature: "contract(name [, venue]) -> struct{contract_type, asset, quote, settlement, expiry, strike, option_type, status}",
    doc: "What a venue's name of a contract says: `contract('BTC-3JAN26-88000-C')['expiry']`. `venue` is `deribit` (unless given), `okx`, \
          `bybit` or `binance`. `contract_type` is `option`, `future`, `perpetual` or `synthetic` (Deribit's `SYN.`), `quote` the letters of the name (OKX's `USD_UM` is a dollar margin), `settlement` \
          `inverse` or `linear`, the expiry 08:00 UTC of the date. `status` is `ok`, `missing_input`, `venue`, or the part that cannot be \
          read (`shape`, `asset`, `settlement`, `date`, `strike`, `option_type`); the other fields are null unless it is `ok`.",
    example: "contract(instrument)",
};

#[derive(Debug, PartialEq, Eq, Hash)]
struct ContractFunction {
    signature: Signature,
}

impl ContractFunction {
    fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

fn fields() -> Fields {
    let text = |name| Field::new(name, DataType::Utf8, true);
    vec![
        text("contract_type"),
        text("asset"),
        text("quote"),
        text("settlement"),
        Field::new("expiry", utc_micros(), true),
        Field::new("strike", DataType::Float64, true),
        text("option_type"),
        text("status"),
    ]
    .into()
}

impl ScalarUDFImpl for ContractFunction {
    fn name(&self) -> &str {
        INFO.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, found: &[DataType]) -> Result<Vec<DataType>> {
        check_count(&INFO, 1, 2, found.len())?;
        let text = |kind: &DataType| kind.is_string() || *kind == DataType::Null;
        match found.iter().all(text) {
            true => Ok(vec![DataType::Utf8; found.len()]),
            false => plan_err!("{} takes {}", INFO.name, INFO.signature),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(fields()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let texts = arrays
            .iter()
            .map(|array| Ok(cast(array, &DataType::Utf8)?))
            .collect::<Result<Vec<ArrayRef>>>()?;
        let Some(names) = texts.first() else {
            return plan_err!("{} takes {}", INFO.name, INFO.signature);
        };
        let names = names.as_string::<i32>();
        let venues = texts.get(1).map(|array| array.as_string::<i32>());
        let mut columns = Columns::default();
        for row in 0..names.len() {
            let name = names.is_valid(row).then(|| names.value(row));
            let venue = match venues {
                None => Some(Venue::Deribit.word()),
                Some(venues) => venues.is_valid(row).then(|| venues.value(row)),
            };
            match read(name, venue) {
                Ok(contract) => columns.push(&contract),
                Err(status) => columns.push_missing(status),
            }
        }
        let result: ArrayRef = Arc::new(columns.finish());
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                &result, 0,
            )?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

fn read(name: Option<&str>, venue: Option<&str>) -> std::result::Result<Contract, &'static str> {
    let (Some(name), Some(venue)) = (name, venue) else {
        return Err("missing_input");
    };
    let venue = Venue::from_word(venue).ok_or("venue")?;
    parse_contract(name, venue).map_err(|error| error.word())
}

#[derive(Default)]
struct Columns {
    kinds: StringBuilder,
    assets: StringBuilder,
    quotes: StringBuilder,
    settlements: StringBuilder,
    expiries: Vec<Option<i64>>,
    strikes: Float64Builder,
    option_types: StringBuilder,
    statuses: StringBuilder,
}

impl Columns {
    fn push(&mut self, contract: &Contract) {
        let terms = contract.terms;
        self.kinds.append_value(terms.word());
        self.assets.append_value(&contract.asset);
        self.quotes.append_value(contract.quote.word());
        self.settlements
            .append_value(contract.quote.settlement().word());
        self.expiries.push(terms.expiry().map(|time| time.micros()));
        let option = match terms {
            Terms::Option { strike, kind, .. } => Some((strike, kind.word())),
            _ => None,
        };
        self.strikes.append_option(option.map(|(strike, _)| strike));
        self.option_types
            .append_option(option.map(|(_, kind)| kind));
        self.statuses.append_value("ok");
    }

    fn push_missing(&mut self, status: &str) {
        for column in [
            &mut self.kinds,
            &mut self.assets,
            &mut self.quotes,
            &mut self.settlements,
            &mut self.option_types,
        ] {
            column.append_null();
        }
        self.expiries.push(None);
        self.strikes.append_null();
        self.statuses.append_value(status);
    }

    fn finish(mut self) -> StructArray {
        let mut expiries = TimestampMicrosecondBuilder::with_capacity(self.expiries.len());
        self.expiries
            .iter()
            .for_each(|time| expiries.append_option(*time));
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(self.kinds.finish()),
            Arc::new(self.assets.finish()),
            Arc::new(self.quotes.finish()),
            Arc::new(self.settlements.finish()),
            Arc::new(expiries.finish().with_timezone("UTC")),
            Arc::new(self.strikes.finish()),
            Arc::new(self.option_types.finish()),
            Arc::new(self.statuses.finish()),
        ];
        StructArray::new(fields(), arrays, None)
    }
}
