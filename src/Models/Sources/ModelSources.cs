using Sluice.Domain.Declarations;
using Sluice.Models.Downloads;

namespace Sluice.Models.Sources;

/// <summary>Lists the files of a declared model, whatever the kind of its source.</summary>
public sealed class ModelSources(HttpClient http, SourceSettings settings, TimeProvider time)
{
    /// <summary>The most files of a model.</summary>
    private const int MaxFiles = 10_000;

    /// <summary>Largest stated size of a file, 64 TiB. The sum over all files is then a number of 64 bits.</summary>
    private const long MaxFileBytes = 1L << 46;

    /// <summary>Returns the declared files of a source.</summary>
    /// <exception cref="ModelFailureException">The source cannot be read, or has none of the files.</exception>
    public async Task<DownloadPlan> ResolveAsync(ModelDeclaration model, CancellationToken ct)
    {
        var source = ModelSource.Parse(model.Source)
            ?? throw new ModelFailureException($"model.source is '{model.Source}'; expected {ModelSource.Forms}");
        var plan = await ListAsync(source, model, ct);
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
        Check(selected);
        return plan with { Files = selected };
    }

    private async Task<DownloadPlan> ListAsync(ModelSource source, ModelDeclaration model, CancellationToken ct)
    {
        try
        {
            return source.Kind switch
            {
                ModelSourceKind.HuggingFace => await HuggingFaceSource.ResolveAsync(http, source, settings, ct),
                ModelSourceKind.S3 => await new S3Source(http, settings.S3, time).ResolveAsync(source, ct),
                ModelSourceKind.Image => await new OciSource(http, OciReference.Parse(source.Location)!, settings.Oci)
                    .ResolveAsync(ct),
                ModelSourceKind.Http => await HttpSource.ResolveAsync(http, source, model, ct),
                _ => throw new ModelFailureException($"model.source is '{model.Source}', which is not downloaded"),
            };
        }
        catch (Exception e) when (e is KeyNotFoundException or FormatException
            || (e is InvalidOperationException and not ModelFailureException))
        {
            // The types of an untrusted list are not those of its format.
            throw new ModelFailureException($"the server sent an invalid list of files: {e.Message}", e);
        }
    }

    /// <summary>Rejects names that meet other names, and sizes that no model has.</summary>
    private static void Check(List<RemoteFile> files)
    {
        if (files.Count > MaxFiles)
            throw new ModelFailureException($"the source has {files.Count} files; expected at most {MaxFiles}");
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var file in files)
        {
            if (file.Size is < 0 or > MaxFileBytes)
                throw new ModelFailureException(
                    $"the source has {file.Size} as the size of '{file.Path}'; expected 0 to {MaxFileBytes} bytes");
            // A download stores its state beside its file.
            foreach (var name in new[] { file.Path, file.Path + FileDownload.PartEnd, file.Path + FileDownload.TagEnd })
                if (!names.Add(name)) throw new ModelFailureException($"the source has two files '{name}'");
        }
    }
}
