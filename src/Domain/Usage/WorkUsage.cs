using System.Globalization;
using System.Text;

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
    public void AddTo(UsageSums sums)
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

    /// <summary>The quantities for <c>ending.part.lua</c>: <c>in=12,out=40</c>.</summary>
    public string Quantities
    {
        get
        {
            var text = new StringBuilder();
            Append(UsageQuantity.BytesIn, BytesIn);
            Append(UsageQuantity.BytesOut, BytesOut);
            Append(UsageQuantity.Prompt, Prompt);
            Append(UsageQuantity.Cached, Cached);
            Append(UsageQuantity.Generated, Generated);
            Append(UsageQuantity.Wasted, Wasted);
            Append(UsageQuantity.Busy, Busy);
            return text.ToString();

            void Append(UsageQuantity quantity, long count)
            {
                if (count <= 0) return;
                if (text.Length > 0) text.Append(',');
                text.Append(CultureInfo.InvariantCulture, $"{UsageQuantities.NameOf(quantity)}={count}");
            }
        }
    }
}
