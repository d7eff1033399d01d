using System.Text;

namespace Sluice.Worker.Generation.Tokenization.Normalizers;

/// <summary>Applies a function.</summary>
internal sealed class FunctionNormalizer(Func<string, string> normalize) : INormalizer
{
    public string Normalize(string text) => normalize(text);
}
