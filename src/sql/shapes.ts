/**
 * What a SELECT may consist of, as the nodes of Postgres's grammar name it: whatever is not here is refused, also what a
 * later grammar adds. `field:Type` holds a node of that type; another field holds nodes that say what they are, or a
 * plain value.
 */
export type Shape = ReadonlyMap<string, string | undefined>;

export const SHAPES: ReadonlyMap<string, Shape> = readShapes(`
  SelectStmt distinctClause targetList fromClause whereClause groupClause groupDistinct havingClause windowClause
    valuesLists sortClause limitOffset limitCount limitOption withClause:WithClause op all larg:SelectStmt rarg:SelectStmt
  WithClause ctes recursive location
  CommonTableExpr ctename aliascolnames ctematerialized ctequery search_clause:CTESearchClause
    cycle_clause:CTECycleClause location
  CTESearchClause search_col_list search_breadth_first search_seq_column location
  CTECycleClause cycle_col_list cycle_mark_column cycle_mark_value cycle_mark_default cycle_path_column location
  ResTarget name val location
  RangeVar relname inh relpersistence alias:Alias location
  RangeSubselect lateral subquery alias:Alias
  RangeFunction lateral ordinality is_rowsfrom functions alias:Alias coldeflist
  JoinExpr jointype isNatural larg rarg usingClause join_using_alias:Alias quals alias:Alias rtindex
  Alias aliasname colnames
  ColumnDef colname typeName:TypeName is_local location
  SortBy node sortby_dir sortby_nulls useOp location
  WindowDef name refname partitionClause orderClause frameOptions startOffset endOffset location
  GroupingSet kind content location
  GroupingFunc args location

  A_Const ival:Integer fval:Float boolval:Boolean sval:String bsval:BitString isnull location
  Integer ival
  Float fval
  Boolean boolval
  String sval
  BitString bsval
  List items
  ColumnRef fields location
  A_Star
  A_Expr kind name lexpr rexpr rexpr_list_start rexpr_list_end location
  BoolExpr boolop args location
  NullTest arg nulltesttype location
  BooleanTest arg booltesttype location
  SubLink subLinkType testexpr operName subselect location
  CaseExpr arg args defresult location
  CaseWhen expr result location
  CoalesceExpr args location
  MinMaxExpr op args location
  SQLValueFunction op typmod location
  A_ArrayExpr elements list_start list_end location
  A_Indirection arg indirection
  A_Indices is_slice lidx uidx
  RowExpr args row_format location
  TypeCast arg typeName:TypeName location
  TypeName names typmods typemod arrayBounds location
  CollateClause arg collname location
  FuncCall funcname args agg_order agg_filter over:WindowDef agg_within_group agg_star agg_distinct func_variadic
    funcformat location
  NamedArgExpr arg name argnumber location

  JsonFormat format_type encoding location
  JsonReturning format:JsonFormat typmod
  JsonOutput typeName:TypeName returning:JsonReturning
  JsonValueExpr raw_expr format:JsonFormat
  JsonKeyValue key value:JsonValueExpr
  JsonArgument val:JsonValueExpr name
  JsonBehavior btype expr location
  JsonIsPredicate expr format:JsonFormat item_type unique_keys location
  JsonFuncExpr op column_name context_item:JsonValueExpr pathspec passing output:JsonOutput on_empty:JsonBehavior
    on_error:JsonBehavior wrapper quotes location
  JsonParseExpr expr:JsonValueExpr output:JsonOutput unique_keys location
  JsonScalarExpr expr output:JsonOutput location
  JsonSerializeExpr expr:JsonValueExpr output:JsonOutput location
  JsonObjectConstructor exprs output:JsonOutput absent_on_null unique location
  JsonArrayConstructor exprs output:JsonOutput absent_on_null location
  JsonArrayQueryConstructor query output:JsonOutput format:JsonFormat absent_on_null location
  JsonAggConstructor output:JsonOutput agg_filter agg_order over:WindowDef location
  JsonObjectAgg constructor:JsonAggConstructor arg:JsonKeyValue absent_on_null unique
  JsonArrayAgg constructor:JsonAggConstructor arg:JsonValueExpr absent_on_null
`);

// Private

/** A line that begins with a capital letter begins a shape. */
function readShapes(text: string): Map<string, Shape> {
  const shapes = text.split(/\n\s*(?=[A-Z])/).map(entry => entry.trim().split(/\s+/));
  return new Map(
    shapes.flatMap(([type, ...fields]) => {
      const shape = fields.map((field): [string, string | undefined] => {
        const [name = '', holds] = field.split(':');
        return [name, holds];
      });
      return type ? [[type, new Map(shape)]] : [];
    }),
  );
}
