using System.Text.Json;
using Sluice.Worker.Runtime;

namespace Sluice.Worker.Api;

/// <summary>Parameters of a request: those that say something to this server, and others, which must only be what the protocol allows.</summary>
internal static class RequestParameters
{
    /// <summary>A day.</summary>
    private const long MaxTimeoutUs = 86_400_000_000;

    /// <summary>Reads the one whose name the reader is at.</summary>
    public static void ReadOne(ref Utf8JsonReader reader, InferRequest request, string model)
    {
        if (reader.ValueTextEquals("binary_data_output"u8)) request.BinaryOutput = reader.ReadBool("binary_data_output");
        else if (reader.ValueTextEquals("priority"u8))
        {
            if (reader.ReadNumber("priority", 0, uint.MaxValue) is var priority and > 0) request.Priority = (uint)priority;
        }
        else if (reader.ValueTextEquals("timeout"u8)) request.TimeoutUs = reader.ReadNumber("timeout", 0, MaxTimeoutUs);
        else ReadOther(ref reader, model);
    }

    private static void ReadOther(ref Utf8JsonReader reader, string model)
    {
        var name = reader.GetString()!;
        if (name.StartsWith("triton_", StringComparison.Ordinal))
            throw new InvalidRequestException($"parameter keys starting with 'triton_' are reserved for Triton usage. ('{name}')");
        if (name.StartsWith("sequence_", StringComparison.Ordinal))
            throw new InvalidRequestException($"parameter '{name}': model '{model}' has no sequences (they are not supported)");
        if (!reader.Read() || reader.TokenType is JsonTokenType.StartArray or JsonTokenType.StartObject)
            throw Wrong(name);
    }

    public static InvalidRequestException Wrong(string name) => new($"parameter '{name}' must be a string, a number or a boolean");
}
