using System.Text.Json;
using Sluice.Worker.Http;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Requests;

/// <summary>
/// Reads the parameters of a request. Parameters that the server does not use are ignored if the protocol allows
/// their type.
/// </summary>
internal static class RequestParameters
{
    /// <summary>One day, in microseconds.</summary>
    private const long MaxTimeoutUs = 86_400_000_000;

    /// <summary>Reads the parameter whose name is the reader's current token.</summary>
    /// <exception cref="InvalidRequestException">
    /// The parameter is reserved, not supported, or has a wrong type.
    /// </exception>
    public static void ReadOne(ref Utf8JsonReader reader, InferRequest request, string model)
    {
        if (reader.ValueTextEquals("binary_data_output"u8))
        {
            request.BinaryOutput = reader.ReadBool("binary_data_output");
        }
        else if (reader.ValueTextEquals("priority"u8))
        {
            if (reader.ReadNumber("priority", 0, uint.MaxValue) is var priority and > 0)
                request.Priority = (uint)priority;
        }
        else if (reader.ValueTextEquals("timeout"u8))
        {
            request.TimeoutUs = reader.ReadNumber("timeout", 0, MaxTimeoutUs);
        }
        else
        {
            ReadOther(ref reader, model);
        }
    }

    private static void ReadOther(ref Utf8JsonReader reader, string model)
    {
        var name = reader.GetString()!;
        if (name.StartsWith("triton_", StringComparison.Ordinal))
            throw new InvalidRequestException(
                $"parameter keys starting with 'triton_' are reserved for Triton usage. ('{name}')");
        if (name.StartsWith("sequence_", StringComparison.Ordinal))
            throw new InvalidRequestException(
                $"Parameter '{name}' is not supported: model '{model}' is stateless, and the worker does not support "
                + "sequences.");
        if (!reader.Read() || reader.TokenType is JsonTokenType.StartArray or JsonTokenType.StartObject)
            throw WrongType(name);
    }

    /// <summary>The error for a parameter that is a list or an object.</summary>
    public static InvalidRequestException WrongType(string name) =>
        new($"Parameter '{name}' must be a string, a number or a boolean.");
}
