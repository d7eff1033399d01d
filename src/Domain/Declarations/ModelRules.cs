using System.Text.RegularExpressions;

namespace Sluice.Domain.Declarations;

/// <summary>Validates the model of an endpoint. Pure.</summary>
internal static partial class ModelRules
{
    private const int MaxFiles = 256, MaxPattern = 512;

    /// <summary>Adds the errors of the endpoint's model.</summary>
    public static void Check(EndpointRules.Checker check, Endpoint endpoint, ModelDeclaration model)
    {
        check.That(ModelSource.Parse(model.Source) is not null, "model.source", model.Source, ModelSource.Forms);
        check.That(model.Sha256.Length == 0 || Hash().IsMatch(model.Sha256), "model.sha256", model.Sha256,
            "64 hexadecimal digits in lower case");
        if (model.Sha256.Length > 0)
            check.That(ModelSource.Parse(model.Source) is null or { Kind: ModelSourceKind.Http }, "model.sha256",
                model.Sha256, "none, because only an http(s):// source is one file");
        check.That(endpoint.Models.Count <= 1, "models", string.Join(", ", endpoint.Models),
            "at most one model, because model.source is one model");
        check.Range("model.files", model.Files.Count, 0, MaxFiles);
        for (var i = 0; i < Math.Min(model.Files.Count, MaxFiles); i++)
            check.That(model.Files[i] is { Length: > 0 and <= MaxPattern } file && !file.StartsWith('/')
                && !file.Split('/').Contains(".."), $"model.files[{i}]", model.Files[i],
                "a relative path without '..', with * and **");
    }

    [GeneratedRegex(@"^[0-9a-f]{64}\z")]
    private static partial Regex Hash();
}
