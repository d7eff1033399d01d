using System.Text.Json.Serialization;

namespace Sluice.Domain.Gpus;

/// <summary>
/// The state of NVIDIA confidential computing, which protects memory and computation of a GPU from its host.
/// </summary>
[JsonConverter(typeof(JsonStringEnumConverter<ConfidentialState>))]
public enum ConfidentialState
{
    /// <summary>Disabled or not supported.</summary>
    Off,

    /// <summary>Enabled but not set to ready: CUDA cannot run on the GPU.</summary>
    NotReady,

    /// <summary>Enabled and set to ready.</summary>
    Ready,
}
