namespace Sluice.Worker.Api;

/// <summary>Body of <c>/v2/models/{model}</c>.</summary>
public sealed record ModelMetadata(
    string Name,
    IReadOnlyList<string> Versions,
    string Platform,
    IReadOnlyList<TensorMetadata> Inputs,
    IReadOnlyList<TensorMetadata> Outputs,
    string? Placement);

/// <summary>An input or output in the metadata of a model.</summary>
public sealed record TensorMetadata(string Name, string Datatype, IReadOnlyList<long> Shape);
