using System.Text.Json;
using Sluice.Worker.Models;

namespace Sluice.Worker.Embeddings;

/// <summary>
/// What the files of a sentence-transformers model say about its vectors: <c>modules.json</c>,
/// <c>1_Pooling/config.json</c>, <c>sentence_bert_config.json</c> and <c>config.json</c>. All of them are optional: a
/// model without <c>modules.json</c> has the mean of its tokens as a vector of length 1.
/// </summary>
/// <param name="Pooling">How the vectors of the tokens become one vector.</param>
/// <param name="Normalize">Whether vectors are scaled to length 1.</param>
/// <param name="MaxTokens">Maximum number of tokens of a text. Longer texts are cut.</param>
/// <param name="PaddingToken">The token that fills shorter texts of a batch. Its value has no effect.</param>
public sealed record EmbeddingSettings(Pooling Pooling, bool Normalize, int MaxTokens, int PaddingToken = 0)
{
    private const int DefaultMaxTokens = 512;

    private static readonly (string Field, Pooling Pooling)[] Modes =
    [
        ("pooling_mode_mean_tokens", Pooling.Mean),
        ("pooling_mode_cls_token", Pooling.Cls),
        ("pooling_mode_lasttoken", Pooling.LastToken),
    ];

    /// <summary>Reads the settings.</summary>
    /// <param name="folder">The folder with the configuration of the model.</param>
    /// <exception cref="NotSupportedException">The model has a module or a pooling that is not supported.</exception>
    /// <exception cref="InvalidDataException">A file is not valid.</exception>
    public static EmbeddingSettings Read(string folder)
    {
        var (pooling, normalize) = (Pooling.Mean, true);
        if (ReadModules(folder) is { } modules)
        {
            normalize = modules.Any(m => m.Type == "Normalize");
            if (modules.FirstOrDefault(m => m.Type == "Pooling").Path is { } path) pooling = ReadPooling(folder, path);
        }

        using var sentence = ModelFolder.ReadConfig(folder, "sentence_bert_config.json");
        using var config = ModelFolder.ReadConfig(folder, ModelFolder.Config);
        var positions = Number(config, "max_position_embeddings", "config.json");
        // RoBERTa's positions start after the padding token.
        var roberta = config?.RootElement.TryGetProperty("model_type", out var type) == true
            && type.ValueKind == JsonValueKind.String
            && type.GetString() is "roberta" or "xlm-roberta" or "camembert" or "mpnet";
        if (roberta && positions > 2) positions -= 2;
        var max = Number(sentence, "max_seq_length", "sentence_bert_config.json") ?? positions ?? DefaultMaxTokens;
        return new EmbeddingSettings(pooling, normalize, Math.Min(max, positions ?? int.MaxValue),
            Number(config, "pad_token_id", "config.json") ?? 0);
    }

    private static List<(string Type, string Path)>? ReadModules(string folder)
    {
        var path = Path.Combine(folder, "modules.json");
        if (!File.Exists(path)) return null;
        var modules = new List<(string, string)>();
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path));
            foreach (var module in document.RootElement.EnumerateArray())
            {
                var name = module.GetProperty("type").GetString()!;
                var type = name[(name.LastIndexOf('.') + 1)..];
                if (type is not ("Transformer" or "Pooling" or "Normalize"))
                    throw new NotSupportedException(
                        $"modules.json has a module of type '{name}'; supported: Transformer, Pooling, Normalize");
                modules.Add((type, module.GetProperty("path").GetString()!));
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException
            or NullReferenceException)
        {
            throw new InvalidDataException($"modules.json is not a list of modules with type and path: {e.Message}", e);
        }

        return modules;
    }

    private static Pooling ReadPooling(string folder, string path)
    {
        var name = $"{path}/config.json";
        if (Path.IsPathRooted(path) || path.Split('/').Contains(".."))
            throw new InvalidDataException($"modules.json has the path '{path}'; expected a folder of the model");
        using var file = ModelFolder.ReadConfig(folder, name);
        if (file is null) return Pooling.Mean;
        var modes = file.RootElement.EnumerateObject()
            .Where(p => p.Name.StartsWith("pooling_mode_", StringComparison.Ordinal)
                && p.Value.ValueKind == JsonValueKind.True)
            .Select(p => p.Name).ToList();
        return modes is [var only] && Modes.Any(m => m.Field == only)
            ? Modes.First(m => m.Field == only).Pooling
            : throw new NotSupportedException($"{name} has the pooling '{string.Join(", ", modes)}'; supported: one of "
                + string.Join(", ", Modes.Select(m => m.Field)));
    }

    private static int? Number(JsonDocument? file, string field, string name)
    {
        if (file is null || !file.RootElement.TryGetProperty(field, out var value)
            || value.ValueKind == JsonValueKind.Null) return null;
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) && number >= 0
            ? number
            : throw new InvalidDataException($"{name}: {field} is {value}; expected a whole number of at least 0");
    }
}
