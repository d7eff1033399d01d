namespace Sluice.Domain.Declarations;

/// <summary>
/// Defines from where the node of a worker gets the model of an endpoint. Without it, the worker reads the model
/// repository of its host.
/// </summary>
public sealed record ModelDeclaration
{
    /// <summary>The source in a form of <see cref="ModelSource"/>.</summary>
    public required string Source { get; init; }

    /// <summary>
    /// SHA-256 of the file or archive at an <c>http(s)://</c> source, 64 hexadecimal digits; empty: not checked.
    /// </summary>
    public string Sha256 { get; init; } = "";

    /// <summary>
    /// The files of a source with several files that are delivered, as paths with <c>*</c> (within a folder) and
    /// <c>**</c> (over folders): <c>onnx/model.onnx</c>, <c>*.json</c>. Empty: all files.
    /// </summary>
    public IReadOnlyList<string> Files { get; init; } = [];
}
