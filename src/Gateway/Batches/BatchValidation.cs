using Sluice.Domain.Batches;
using Sluice.Domain.Declarations;

namespace Sluice.Gateway.Batches;

/// <summary>Checks the input of a batch before a line of it runs.</summary>
public static class BatchValidation
{
    /// <summary>Checks all lines.</summary>
    /// <param name="file">The input.</param>
    /// <param name="request">What the client asked.</param>
    /// <param name="catalog">The endpoints.</param>
    /// <param name="maxLines">Maximum number of lines.</param>
    /// <param name="ct">Stops the check.</param>
    /// <returns>The number of lines, and the errors; null: the input is valid.</returns>
    public static async Task<(int Lines, BatchErrors? Errors)> CheckAsync(
        Stream file, BatchRequest request, EndpointCatalog catalog, int maxLines, CancellationToken ct)
    {
        var (lines, errors) = (0, new List<BatchError>());
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        await foreach (var line in BatchInput.ReadAsync(file, BatchSettings.MaxLineBytes, ct))
        {
            if (++lines > maxLines)
            {
                errors.Add(new BatchError("too_many_lines",
                    $"The file has more than {maxLines} lines; expected at most {maxLines} (SLUICE_BATCH_MAX_LINES).",
                    null, line.Number));
                break;
            }

            if (Check(line, request, catalog, ids) is not { } error) continue;
            errors.Add(BatchError.From(error));
            if (errors.Count == BatchErrors.Most) break;
        }

        if (lines == 0)
            errors.Add(new BatchError("empty_file", "The file has no lines; expected 1 or more.", null, null));
        return (lines, errors.Count > 0 ? new BatchErrors(errors) : null);
    }

    private static BatchLineError? Check(InputLine line, BatchRequest request, EndpointCatalog catalog,
        Dictionary<string, int> ids)
    {
        var number = line.Number;
        if (line.IsTooLong)
            return new BatchLineError(number, "line_too_long", null,
                $"Line {number} has more than {BatchSettings.MaxLineBytes} bytes, which is the limit.");
        if (BatchLine.Read(line.Json, number, request.Endpoint, out var error) is not { } read) return error;
        if (!ids.TryAdd(read.CustomId, number))
            return new BatchLineError(number, "duplicate_custom_id", "custom_id", $"Line {number}: 'custom_id' is "
                + $"'{read.CustomId}', as in line {ids[read.CustomId]}; expected another value for each line.");
        var endpoint = catalog.FindByModel(read.Model)?.Endpoint;
        if (endpoint is null || !(request.Scope.MayInvoke(endpoint.Id) || endpoint.Public))
            return new BatchLineError(number, "model_not_found", "body.model",
                $"Line {number}: 'body.model' is '{read.Model}'; expected a model that the key may use.");
        if (request.Endpoint == BatchResponses.Endpoint && BatchResponses.Check(read) is { } invalid) return invalid;
        return read.Body.Length <= endpoint.Jobs.MaxInputBytes ? null : new BatchLineError(number, "line_too_long",
            "body", $"Line {number}: 'body' has {read.Body.Length} bytes; expected at most "
            + $"{endpoint.Jobs.MaxInputBytes} (jobs.maxInputBytes of the endpoint).");
    }
}
