using System.Text.Json;
using Sluice.Worker.Generation.Constraints.Grammars;

namespace Sluice.Worker.Generation.Constraints.Schemas;

/// <summary>One schema, and where it is in the request.</summary>
/// <param name="Element">The schema, an object.</param>
/// <param name="Path">Its path, for errors.</param>
internal sealed record Schema(JsonElement Element, string Path)
{
    // Keywords that only describe a value.
    private static readonly HashSet<string> Annotations =
    [
        "title", "description", "default", "example", "examples", "deprecated", "readOnly", "writeOnly", "$schema",
        "$id", "$comment", "$defs", "definitions", "strict", "nullable",
    ];

    /// <summary>Returns the value of a keyword; null if the schema does not have it.</summary>
    public JsonElement? Find(string keyword) =>
        Element.TryGetProperty(keyword, out var value) ? value : null;

    /// <summary>Returns the path of a keyword.</summary>
    public string PathOf(string keyword) => $"{Path}/{keyword}";

    /// <summary>Checks that the schema has only some keywords, and those that describe it.</summary>
    /// <exception cref="ConstraintException">It has another one.</exception>
    public void Allow(params ReadOnlySpan<string> keywords)
    {
        foreach (var property in Element.EnumerateObject())
            if (!Annotations.Contains(property.Name) && !keywords.Contains(property.Name))
                throw new ConstraintException(
                    $"{PathOf(property.Name)}: the keyword '{property.Name}' is not supported here.");
    }

    /// <summary>Returns a keyword with a number that is not negative.</summary>
    /// <param name="keyword">The keyword.</param>
    /// <param name="limit">The greatest number.</param>
    /// <exception cref="ConstraintException">It has another value.</exception>
    public int? FindCount(string keyword, int limit)
    {
        if (Find(keyword) is not { } value) return null;
        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && number >= 0 &&
            number <= limit && number == Math.Truncate(number))
            return (int)number;
        throw Wrong(keyword, $"an integer from 0 to {limit}");
    }

    /// <summary>Returns the error for a keyword with a value that is not valid.</summary>
    public ConstraintException Wrong(string keyword, string expected) =>
        new($"{PathOf(keyword)} is not valid; expected {expected}.");
}
