namespace Sluice.Domain.Schema;

/// <summary>A change of the version of the data.</summary>
/// <param name="Kind">The kind of the change.</param>
/// <param name="From">The version before. The step has no effect if Redis has another one.</param>
/// <param name="To">The version after.</param>
public sealed record SchemaStep(SchemaStepKind Kind, SchemaNumber From, SchemaNumber To);
