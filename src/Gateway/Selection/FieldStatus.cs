namespace Sluice.Gateway.Selection;

/// <summary>The state of the search of a <see cref="StringFieldFinder"/>.</summary>
public enum FieldStatus
{
    /// <summary>The bytes that were read do not contain the field; more can follow.</summary>
    NeedsMore,

    /// <summary>The field was found.</summary>
    Found,

    /// <summary>The object ended without the field.</summary>
    Missing,

    /// <summary>The value of the field is not a string.</summary>
    NotAString,

    /// <summary>The bytes are not a JSON object.</summary>
    Invalid,
}
