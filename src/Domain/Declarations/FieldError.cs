namespace Sluice.Domain.Declarations;

/// <summary>An invalid field of a declaration.</summary>
/// <param name="Field">The path of the field, for example <c>endpoints[0].scaling.min</c>.</param>
/// <param name="Value">The given value; empty if it is missing.</param>
/// <param name="Expected">The rule that the value violates.</param>
/// <param name="Line">Line number in the file, from 1; 0 if the declaration is not from a file.</param>
public sealed record FieldError(string Field, string Value, string Expected, int Line = 0)
{
    public override string ToString() => (Line > 0 ? $"line {Line}: " : "")
        + (Value.Length > 0 ? $"{Field} is {Value}; expected {Expected}" : $"{Field}: expected {Expected}");
}
