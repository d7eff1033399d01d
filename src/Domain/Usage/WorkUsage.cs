using System.Globalization;

namespace Sluice.Domain.Usage;

/// <summary>
/// What a request, or an attempt of a job, used. That of the attempt that ends a job counts in the ledger in the same
/// step, exactly once.
/// </summary>
/// <param name="Of">Whose usage it is. An empty key of a job: the script reads the key.</param>
public readonly record struct WorkUsage(UsageRow Of)
{
    /// <summary>Bytes of the input.</summary>
    public long BytesIn { get; init; }

    /// <summary>Bytes of the output.</summary>
    public long BytesOut { get; init; }

    /// <summary>Tokens of the prompt.</summary>
    public long Prompt { get; init; }

    /// <summary>Tokens of the prompt that a cache contained.</summary>
    public long Cached { get; init; }

    /// <summary>Generated tokens.</summary>
    public long Generated { get; init; }

    /// <summary>Generated tokens that are not in the output.</summary>
    public long Wasted { get; init; }

    /// <summary>Microseconds of the worker, by its share.</summary>
    public long Busy { get; init; }

    /// <summary>Returns the usage with these tokens.</summary>
    public WorkUsage WithTokens(long prompt, long cached, long generated, long wasted) =>
        this with { Prompt = prompt, Cached = cached, Generated = generated, Wasted = wasted };

    /// <summary>Adds the quantities to sums.</summary>
    public void AddTo(IUsageSums sums)
    {
        sums.Add(UsageQuantity.BytesIn, BytesIn);
        sums.Add(UsageQuantity.BytesOut, BytesOut);
        sums.Add(UsageQuantity.Prompt, Prompt);
        sums.Add(UsageQuantity.Cached, Cached);
        sums.Add(UsageQuantity.Generated, Generated);
        sums.Add(UsageQuantity.Wasted, Wasted);
        sums.Add(UsageQuantity.Busy, Busy);
    }

    /// <summary>The row of the ledger.</summary>
    public string Row => Of.Text;

    /// <summary>
    /// The quantities for <c>ledger.part.lua</c>, in its order: bytes in, bytes out and microseconds, then, if there
    /// are any, tokens of the prompt, cached, generated and wasted ones. Empty if nothing was used. Negative
    /// ones are 0.
    /// </summary>
    public string Quantities
    {
        get
        {
            var hasTokens = Prompt > 0 || Cached > 0 || Generated > 0 || Wasted > 0;
            if (!hasTokens && BytesIn <= 0 && BytesOut <= 0 && Busy <= 0) return "";
            var (read, written, busy) = (Math.Max(0, BytesIn), Math.Max(0, BytesOut), Math.Max(0, Busy));
            if (!hasTokens) return string.Create(CultureInfo.InvariantCulture, $"{read},{written},{busy}");
            var (prompt, cached) = (Math.Max(0, Prompt), Math.Max(0, Cached));
            var (generated, wasted) = (Math.Max(0, Generated), Math.Max(0, Wasted));
            return string.Create(
                CultureInfo.InvariantCulture, $"{read},{written},{busy},{prompt},{cached},{generated},{wasted}");
        }
    }
}
