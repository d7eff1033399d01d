using Sluice.Domain.Declarations;
using Sluice.Models.Downloads;

namespace Sluice.Models.Sources;

/// <summary>Lists the files of a declared model, whatever the kind of its source.</summary>
public sealed class ModelSources(HttpClient http, SourceSettings settings, TimeProvider time)
{
    /// <summary>Returns the declared files of a source.</summary>
    /// <exception cref="ModelFailureException">The source cannot be read, or has none of the files.</exception>
    public async Task<DownloadPlan> ResolveAsync(ModelDeclaration model, CancellationToken ct)
    {
        var source = ModelSource.Parse(model.Source)
            ?? throw new ModelFailureException($"model.source is '{model.Source}'; expected {ModelSource.Forms}");
        var plan = source.Kind switch
        {
            ModelSourceKind.HuggingFace => await HuggingFaceSource.ResolveAsync(http, source, settings, ct),
            ModelSourceKind.S3 => await new S3Source(http, settings.S3, time).ResolveAsync(source, ct),
            ModelSourceKind.Image => await new OciSource(http, OciReference.Parse(source.Location)!, settings.Oci)
                .ResolveAsync(ct),
            ModelSourceKind.Http => await HttpSource.ResolveAsync(http, source, model, ct),
            _ => throw new ModelFailureException($"model.source is '{model.Source}', which is not downloaded"),
        };
        foreach (var file in plan.Files)
            if (!SafePath.IsSafe(file.Path))
                throw new ModelFailureException(
                    $"the source has a file '{SafePath.Printable(file.Path)}'; expected {SafePath.Rule}");
        var selected = plan.Files.Where(f => f.MayBeArchive || plan.LayerFolder is not null
            || FileSelection.Selects(model.Files, f.Path)).ToList();
        if (selected.Count == 0)
            throw new ModelFailureException(
                $"model.files is '{string.Join(", ", model.Files)}'; expected a pattern of a file of the source, for "
                + $"example {string.Join(", ", plan.Files.Take(5).Select(f => f.Path))}");
        if (selected.GroupBy(f => f.Path).FirstOrDefault(g => g.Count() > 1) is { } twice)
            throw new ModelFailureException($"the source has two files '{twice.Key}'");
        return plan with { Files = selected };
    }
}
