using System.Text;

namespace Sluice.Worker.Generation.Tokenization.Normalizers;

/// <summary>Applies normalizers one after the other.</summary>
internal sealed class NormalizerSequence(IReadOnlyList<INormalizer> steps) : INormalizer
{
    public string Normalize(string text)
    {
        foreach (var step in steps) text = step.Normalize(text);
        return text;
    }
}
