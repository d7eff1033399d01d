namespace Sluice.Worker.Generation.Tokenization.Normalizers;

/// <summary>Changes a text before it is split. Thread-safe.</summary>
internal interface INormalizer
{
    /// <summary>Returns the changed text.</summary>
    string Normalize(string text);
}
