namespace Sluice.Worker.Generation.Constraints.Grammars;

/// <summary>A schema or tool that cannot be served. Compilation throws no other type.</summary>
/// <param name="message">The text for the caller; it names the field.</param>
public sealed class ConstraintException(string message) : Exception(message);
