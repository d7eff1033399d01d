using System.Text.Json.Serialization;

namespace Sluice.Domain.Gpus;

/// <summary>Which processes may use a GPU, as enforced by its driver.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ComputeMode>))]
public enum ComputeMode
{
    /// <summary>Any number of processes.</summary>
    Default,

    /// <summary>One process at a time: the GPU cannot be shared.</summary>
    ExclusiveProcess,

    /// <summary>No process.</summary>
    Prohibited,
}
