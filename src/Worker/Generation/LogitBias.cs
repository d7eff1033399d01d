using System.Globalization;
using System.Text.Json;

namespace Sluice.Worker.Generation;

/// <summary>Adds a number to the logits of some tokens (as in OpenAI's API).</summary>
/// <param name="biases">Token and number. Tokens that the vocabulary does not have are ignored.</param>
public sealed class LogitBias(IReadOnlyDictionary<int, float> biases) : ILogitsProcessor
{
    private const int MaxBiases = 1024;

    /// <summary>What <see cref="Read"/> accepts, for errors.</summary>
    public static string Expected => $"an object with at most {MaxBiases} token ids and numbers from -100 to 100";

    /// <summary>Reads an object with token ids as keys. Returns null if it is not valid.</summary>
    public static IReadOnlyDictionary<int, float>? Read(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Object) return null;
        var biases = new Dictionary<int, float>();
        foreach (var bias in value.EnumerateObject())
        {
            var isValid = biases.Count < MaxBiases
                && int.TryParse(bias.Name, NumberStyles.None, CultureInfo.InvariantCulture, out var token)
                && bias.Value.ValueKind == JsonValueKind.Number
                && bias.Value.TryGetSingle(out var number)
                && number is >= -100 and <= 100
                && biases.TryAdd(token, number);
            if (!isValid) return null;
        }

        return biases;
    }

    public void Process(Span<float> logits, ReadOnlySpan<int> generated)
    {
        foreach (var (token, bias) in biases)
            if (token < logits.Length) logits[token] += bias;
    }
}
