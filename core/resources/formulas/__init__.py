"""`scalingModifiers.formula`: the part of the language expr (github.com/expr-lang/expr) that makes numbers."""
