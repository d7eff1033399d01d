using System.Security.Cryptography;

namespace Sluice.Worker.Providers;

/// <summary>
/// Everything that a TensorRT engine depends on. If one of these values changes, the engine must be built again.
/// </summary>
public sealed record EngineIdentity
{
    /// <summary>
    /// SHA-256 of the model's file, and the identity of its other files. See <see cref="EngineCacheKey.HashModel"/>.
    /// </summary>
    public required string ModelHash { get; init; }

    public required string OnnxRuntimeVersion { get; init; }

    public required string TensorRtVersion { get; init; }

    public required string GpuName { get; init; }

    /// <summary>Compute capability of the GPU, for example 9.0.</summary>
    public required string ComputeCapability { get; init; }

    /// <summary>
    /// Profile of the MIG instance, for example 1g.10gb. It has fewer multiprocessors than its GPU. Null: the whole
    /// GPU.
    /// </summary>
    public string? MigProfile { get; init; }

    /// <summary>Options of the provider, including profiles.</summary>
    public required IReadOnlyDictionary<string, string> Options { get; init; }
}
